import { basename } from 'node:path';
import { UserError } from '../../base/index.js';
import { openOnnx, tf, type OnnxNetwork, type Tensor, type Tensor3D, type Tensor4D } from '../../engine/index.js';
import { combinedDigest, sha256OfFile } from '../../io/index.js';
import { channelsFirst, channelsLast } from '../../nn/index.js';
import { toGrid, toTokens } from '../grid.js';
import { scalarNormalisation, type Normalisation } from '../normalisation.js';
import { posterior, samplePosterior } from '../posterior.js';
import type { EncodeOptions, OpenOptions, Tokenizer } from '../tokenizer.js';
import { readOnnxSpec, type LatentLayout, type OnnxConfig } from './config.js';

/** Other people's encoder and, optionally, decoder as ONNX networks. */
export async function openOnnxTokenizer(spec: string, options: OpenOptions): Promise<Tokenizer> {
  const { encoder: path, decoder: decoderPath, config } = await readOnnxSpec(spec);
  const encoder = await openOnnx(path, config.batch);
  const decoder = decoderPath === undefined ? undefined : await openOnnx(decoderPath, config.batch);
  const imageSize = options.imageSize ?? config.image_size;
  const { layout, shape, grid, samples } = await probe(path, encoder, config, imageSize);
  if (samples) options.log?.warn(samplesInside(path));
  const known = { ...config.latents, layout };
  return {
    name: config.name ?? basename(path).replace(/\.onnx$/, ''),
    family: 'onnx',
    imageSize,
    latentShape: shape,
    ...(grid ? { grid } : {}),
    parameters: undefined,
    digest: await digestOf(path, decoderPath),
    posterior: samples ? 'sampled inside' : config.latents.moments ? config.latents.posterior : 'none',
    normalisation: normalisationOf(config, shape),
    pixels: pixelsOf(config),
    encode: async (images, { noise } = {}) => {
      const output = await firstOutput(encoder, toNetwork(config, images));
      return finish(output, z => latentsOf(known, z, noise));
    },
    decode: async latents => {
      if (!decoder) throw new UserError(`${path}: has no decoder; name it after the encoder: onnx:ENCODER,DECODER`);
      const input = tf.tidy(() => toLayout(layout, latents));
      return finish(await firstOutput(decoder, input), pixels => fromNetwork(config, pixels));
    },
    dispose: () => void Promise.all([encoder.close(), decoder?.close()]),
  };
}

/** `shift` and `scale` of the YAML, each one number or one per channel. */
function normalisationOf(
  { latents: { shift, scale } }: OnnxConfig,
  [, channels]: Tokenizer['latentShape'],
): Normalisation {
  if (typeof shift === 'number' && typeof scale === 'number')
    return scalarNormalisation(shift, scale, 'latents.shift, latents.scale');
  const each = (value: number | number[]): Float64Array =>
    typeof value === 'number' ? new Float64Array(channels).fill(value) : Float64Array.from(value);
  return { per: 'channel', shift: each(shift), scale: each(scale), source: 'latents.shift, latents.scale' };
}

type Latents = Omit<OnnxConfig['latents'], 'layout'> & { layout: LatentLayout };

interface Probed {
  layout: LatentLayout;
  shape: [tokens: number, channels: number];
  grid: [rows: number, columns: number] | undefined;
  /** Two encodings of one image differ. */
  samples: boolean;
}

/** One grey image through the encoder tells the shape of its latents; a second time, whether it draws numbers. */
async function probe(path: string, encoder: OnnxNetwork, config: OnnxConfig, size: number): Promise<Probed> {
  const encodeGrey = (): Promise<Tensor> => firstOutput(encoder, toNetwork(config, tf.zeros([1, size, size, 3])));
  const output = await encodeGrey();
  const samples = differ(output, await encodeGrey());
  const { rank } = output;
  const layout = config.latents.layout ?? (rank === 4 ? 'nchw' : 'tokens');
  if (rank !== (layout === 'nchw' || layout === 'nhwc' ? 4 : 3))
    throw new UserError(
      `${path}: gives latents of shape [${output.shape.join(', ')}], which is not ${layout}; set latents.layout in its YAML`,
    );
  const grid = layout === 'nchw' ? output.shape.slice(2) : layout === 'nhwc' ? output.shape.slice(1, 3) : undefined;
  const tokens = finish(output, z => latentsOf({ ...config.latents, layout }, z, undefined));
  const shape = tokens.shape.slice(1) as [number, number];
  tokens.dispose();
  return { layout, shape, grid: grid as [number, number] | undefined, samples };
}

/** Beyond what the order of sums makes; `b` is freed. */
function differ(a: Tensor, b: Tensor): boolean {
  const far = finish(b, other => a.sub(other).abs().max().greater(a.abs().max().mul(1e-5)));
  const [answer] = far.dataSync();
  far.dispose();
  return answer === 1;
}

const samplesInside = (path: string): string =>
  `${path}: two encodings of one image differ: the network draws random numbers that maetok's seed does not control. No ` +
  'extraction can be reproduced, and digests of latents differ from run to run; export the mean, or mean and log-variance ' +
  'with latents.moments: true in its YAML';

/** Network output → z [n, tokens, channels]. */
function latentsOf(latents: Latents, output: Tensor, noise: EncodeOptions['noise']): Tensor3D {
  const z = fromLayout(latents.layout, output);
  if (!latents.moments) return z as Tensor3D;
  const gaussian = posterior(z);
  return (noise ? samplePosterior(gaussian, noise) : gaussian.mean) as Tensor3D;
}

const FROM: Record<LatentLayout, (z: Tensor) => Tensor> = {
  nchw: z => toTokens(channelsLast(z)),
  nhwc: z => toTokens(z),
  tokens: z => z,
  'channels-first': z => tf.transpose(z, [0, 2, 1]),
};
const TO: Record<LatentLayout, (z: Tensor) => Tensor> = {
  nchw: z => channelsFirst(toGrid(z)),
  nhwc: z => toGrid(z),
  tokens: z => z,
  'channels-first': z => tf.transpose(z, [0, 2, 1]),
};
const fromLayout = (layout: LatentLayout, z: Tensor): Tensor => FROM[layout](z);
const toLayout = (layout: LatentLayout, z: Tensor): Tensor => TO[layout](z);

/** Images in [−1, 1] → what the network is fed. */
function toNetwork({ pixels }: OnnxConfig, images: Tensor): Tensor {
  const [black, white] = pixels.range;
  return tf.tidy(() => {
    const ranged = images
      .add(1)
      .mul((white - black) / 2)
      .add(black);
    const normal = ranged.sub(tf.tensor1d(pixels.mean)).div(tf.tensor1d(pixels.std));
    return pixels.layout === 'nchw' ? channelsFirst(normal) : normal;
  });
}

/** The network's images → images in [−1, 1]. */
function fromNetwork({ pixels }: OnnxConfig, output: Tensor): Tensor4D {
  const [black, white] = pixels.range;
  const last = pixels.layout === 'nchw' ? channelsLast(output) : output;
  const ranged = last.mul(tf.tensor1d(pixels.std)).add(tf.tensor1d(pixels.mean));
  return ranged
    .sub(black)
    .mul(2 / (white - black))
    .sub(1);
}

const pixelsOf = ({ pixels: { range, mean, std } }: OnnxConfig): string =>
  `RGB in [${range.join(', ')}]` +
  (mean.some(m => m !== 0) || std.some(s => s !== 1) ? `, minus ${mean.join('/')} over ${std.join('/')}` : '');

/** The first output for the only input; `x` is freed. */
async function firstOutput(network: OnnxNetwork, x: Tensor): Promise<Tensor> {
  const [name] = network.outputs;
  try {
    return (await network.run(x, [name]))[name];
  } finally {
    x.dispose();
  }
}

/** Applies `f` and frees everything but its result. */
function finish<I extends Tensor | Tensor[], O extends Tensor>(input: I, f: (input: I) => O): O {
  const result = tf.tidy(() => f(input));
  tf.dispose(input);
  return result;
}

async function digestOf(encoder: string, decoder: string | undefined): Promise<string> {
  const parts: Record<string, string> = { encoder: await sha256OfFile(encoder) };
  if (decoder !== undefined) parts.decoder = await sha256OfFile(decoder);
  return combinedDigest(parts);
}
