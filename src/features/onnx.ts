import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { z } from 'zod';
import { UserError } from '../base/index.js';
import { openOnnx, tf, type OnnxNetwork, type Tensor, type Tensor2D, type Tensor4D } from '../engine/index.js';
import { checked, readYaml, sha256OfFile } from '../io/index.js';
import { channelsFirst } from '../nn/index.js';
import { IMAGENET } from '../vision/index.js';
import type { FeatureExtractor, FeatureSet, FeatureTensors } from './extractor.js';
import { IMAGE_LAYOUTS } from './names.js';

const three = z.array(z.number()).length(3);

/** What `FILE.yaml` beside `FILE.onnx` may say; the defaults fit an encoder exported from PyTorch. */
const SCHEMA = z.strictObject({
  name: z.string().optional(),
  /** Images are resized to this side, bilinearly; `null` feeds them as they are. */
  size: z.number().int().positive().nullable().default(224),
  /** Images per call, for networks that were exported with a fixed batch without saying so. */
  batch: z.number().int().positive().optional(),
  layout: z.enum(IMAGE_LAYOUTS).default('nchw'),
  /** Values of black and white, before mean and standard deviation; ImageNet's are the default. */
  range: z.array(z.number()).length(2).default([0, 1]),
  mean: three.default(IMAGENET.mean),
  std: three.default(IMAGENET.std),
  /** Names of the network's outputs; default: the first one is `pooled`. */
  outputs: z
    .strictObject({ pooled: z.string().optional(), spatial: z.string().optional(), logits: z.string().optional() })
    .default({}),
  /** Of a sequence of tokens: the first one (a class token) or their mean. */
  tokens: z.enum(['first', 'mean']).default('first'),
});
type OnnxFeatures = z.output<typeof SCHEMA>;

/** ADM's graph takes 0 … 255 at any size and resizes inside. */
const ADM: Partial<OnnxFeatures> = { size: null, layout: 'nhwc', range: [0, 255], mean: [0, 0, 0], std: [1, 1, 1] };
const ADM_OUTPUTS: Record<FeatureSet, RegExp> = {
  pooled: /pool_3/,
  spatial: /mixed_6.*conv/,
  logits: /logits.*MatMul/,
};
/** The channels of `mixed_6/conv` that sFID takes. */
const ADM_CHANNELS = 7;

/** Any encoder as an ONNX network; `isInception` for an export of ADM's graph, whose outputs are found by their names. */
export async function openOnnxFeatures(path: string, { isInception = false } = {}): Promise<FeatureExtractor> {
  const config = await readConfig(path, isInception ? ADM : {});
  const network = await openOnnx(path, config.batch);
  const outputs = outputsOf(path, network, config, isInception);
  const run = async (pixels: Tensor4D): Promise<FeatureTensors> => {
    const input = tf.tidy(() => prepared(config, pixels));
    const results = await network.run(
      input,
      outputs.map(([, output]) => output),
    );
    const features = tf.tidy(() =>
      Object.fromEntries(outputs.map(([set, output]) => [set, flattened(results[output], set, config)])),
    );
    tf.dispose([input, Object.values(results)]);
    return features as FeatureTensors;
  };
  const probe = await run(tf.zeros([1, config.size ?? 64, config.size ?? 64, 3]));
  const widths = Object.fromEntries(Object.entries(probe).map(([set, { shape }]) => [set, shape[1]]));
  tf.dispose(probe);
  return {
    name: config.name ?? (isInception ? 'inception-v3' : `onnx:${basename(path, '.onnx')}`),
    isInception,
    input: `${config.size === null ? 'as it is' : `bilinear to ${config.size}`}, ${config.range.join(' to ')}, minus ${config.mean.join('/')} over ${config.std.join('/')}`,
    digest: await sha256OfFile(path),
    widths: widths as FeatureExtractor['widths'],
    features: run,
    dispose: () => void network.close(),
  };
}

async function readConfig(path: string, defaults: Partial<OnnxFeatures>): Promise<OnnxFeatures> {
  const beside = path.replace(/\.onnx$/, '.yaml');
  const content = existsSync(beside) ? await readYaml(beside, 'YAML') : {};
  return checked(beside, { ...defaults, ...(content as object | null) }, SCHEMA);
}

function outputsOf(
  path: string,
  network: OnnxNetwork,
  config: OnnxFeatures,
  isInception: boolean,
): [FeatureSet, string][] {
  const found = (Object.keys(ADM_OUTPUTS) as FeatureSet[]).map((set): [FeatureSet, string | undefined] => {
    const guess = isInception ? network.outputs.find(name => ADM_OUTPUTS[set].test(name)) : undefined;
    return [set, config.outputs[set] ?? guess ?? (set === 'pooled' && !isInception ? network.outputs[0] : undefined)];
  });
  const unknown = found.find(([, output]) => output !== undefined && !network.outputs.includes(output));
  const outputs = found.filter((entry): entry is [FeatureSet, string] => entry[1] !== undefined);
  if (unknown || !outputs.some(([set]) => set === 'pooled')) {
    const wanted = unknown ? `output '${unknown[1]}'` : 'output for the pooled features';
    throw new UserError(
      `${path}: has no ${wanted}; it has ${network.outputs.join(', ')}: name them in its YAML under outputs:`,
    );
  }
  return outputs;
}

function prepared({ size, layout, range, mean, std }: OnnxFeatures, pixels: Tensor4D): Tensor {
  const sized = size === null ? pixels : tf.image.resizeBilinear(pixels, [size, size], false, true);
  const [black, white] = range;
  const ranged = sized.mul((white - black) / 255).add(black);
  const normal = ranged.sub(tf.tensor1d(mean)).div(tf.tensor1d(std));
  return layout === 'nchw' ? channelsFirst(normal) : normal;
}

/** One row per image: a map is averaged over its places (sFID's is not), of tokens one or the mean is taken. */
function flattened(output: Tensor, set: FeatureSet, { layout, tokens }: OnnxFeatures): Tensor2D {
  const [n] = output.shape;
  if (output.rank === 4 && set === 'spatial')
    return tf.slice(output as Tensor4D, [0, 0, 0, 0], [-1, -1, -1, ADM_CHANNELS]).reshape<Tensor2D>([n, -1]);
  if (output.rank === 4) return output.mean<Tensor2D>(layout === 'nchw' ? [2, 3] : [1, 2]);
  if (output.rank === 3 && tokens === 'mean') return output.mean<Tensor2D>(1);
  if (output.rank === 3) return tf.slice(output, [0, 0, 0], [-1, 1, -1]).reshape<Tensor2D>([n, -1]);
  return output.reshape<Tensor2D>([n, -1]);
}
