import { UserError } from '../base/index.js';
import { tf, type Tensor2D, type Tensor3D, type Tensor4D } from '../engine/index.js';
import {
  imageEmbedding,
  openVision,
  pooled,
  preprocessed,
  visionTokens,
  type OpenVisionOptions,
  type Vision,
} from '../vision/index.js';
import type { FeatureExtractor } from './extractor.js';
import { VIT_TOKENS, type VitTokens } from './names.js';

/** `WEIGHTS[?size=…&layer=…&tokens=…]`, what follows `vit:`. */
interface VitSpec {
  weights: string;
  /** Side to which images are resized; default: the network's preprocessing. */
  size: number | undefined;
  /** As transformers numbers hidden states; default: the last one after the last norm. */
  layer: number | undefined;
  tokens: VitTokens | undefined;
}

/** A frozen vision transformer that is asked for one kind of tokens. */
export interface FrozenVit {
  name: string;
  input: string;
  digest: string;
  parameters: number;
  /** Side to which it resizes images. */
  size: number;
  /** What it gives of one image. */
  shape: readonly [tokens: number, width: number];
  /** Rows and columns where they are the patches. */
  grid: readonly [rows: number, columns: number] | undefined;
  /** images [n, h, w, 3] in [−1, 1], of any size → [n, tokens, width]. */
  tokens: (images: Tensor4D) => Tensor3D;
  dispose: () => void;
}

/** One vector per image by a frozen vision transformer. */
export async function openVitFeatures(spec: string, options: OpenVisionOptions = {}): Promise<FeatureExtractor> {
  const vit = await openVit(spec, 'class', options);
  const [tokens, width] = vit.shape;
  if (tokens !== 1) {
    vit.dispose();
    throw new UserError(`vit:${spec}: gives ${tokens} vectors per image; take tokens=class, mean, pooled or embedding`);
  }
  return {
    name: vit.name,
    isInception: false,
    input: vit.input,
    digest: vit.digest,
    widths: { pooled: width },
    features: pixels =>
      Promise.resolve({
        pooled: tf.tidy(() => vit.tokens(pixels.div<Tensor4D>(127.5).sub(1)).reshape<Tensor2D>([-1, width])),
      }),
    dispose: vit.dispose,
  };
}

/** Opens what follows `vit:`; `usual` tokens where it does not say which. */
export async function openVit(spec: string, usual: VitTokens, options: OpenVisionOptions = {}): Promise<FrozenVit> {
  const { weights, layer, ...asked } = readVitSpec(spec);
  const vision = await openVision(weights, options);
  const size = asked.size ?? vision.config.input.size;
  const kind = asked.tokens ?? (usual === 'class' && !vision.config.classToken ? 'pooled' : usual);
  const tokens = (images: Tensor4D): Tensor3D =>
    tf.tidy(() => chosenTokens(vision, preprocessed(vision.config, images, size), kind, layer));
  try {
    refuseUnknown(spec, vision, kind, layer, size);
    const probe = tokens(tf.zeros([1, size, size, 3]));
    const [, count, width] = probe.shape;
    probe.dispose();
    const side = Math.floor(size / vision.config.patchSize);
    return {
      name: nameOf(vision, size, kind, layer),
      input: inputOf(vision, size),
      digest: vision.digest,
      parameters: Object.values(vision.params).reduce((sum, tensor) => sum + tensor.size, 0),
      size,
      shape: [count, width],
      grid: kind === 'patches' ? [side, side] : undefined,
      tokens,
      dispose: () => tf.dispose(vision.params),
    };
  } catch (error) {
    tf.dispose(vision.params);
    throw error;
  }
}

function readVitSpec(spec: string): VitSpec {
  const [weights, query = ''] = spec.split('?', 2);
  const settings = new URLSearchParams(query);
  const number = (name: string, least: number): number | undefined => {
    const word = settings.get(name);
    if (word === null) return undefined;
    const value = Number(word);
    if (word.trim() !== '' && Number.isInteger(value) && value >= least) return value;
    throw new UserError(`vit:${spec}: ${name} is a whole number of at least ${least}`);
  };
  const unknown = [...settings.keys()].find(name => !['size', 'layer', 'tokens'].includes(name));
  if (unknown !== undefined) throw new UserError(`vit:${spec}: ${unknown} cannot be set; size, layer and tokens can`);
  const tokens = settings.get('tokens') ?? undefined;
  if (tokens !== undefined && !VIT_TOKENS.includes(tokens as VitTokens))
    throw new UserError(`vit:${spec}: tokens is one of ${VIT_TOKENS.join(', ')}`);
  return { weights, size: number('size', 1), layer: number('layer', 0), tokens: tokens as VitTokens | undefined };
}

function refuseUnknown(
  spec: string,
  { config, params }: Vision,
  kind: VitTokens,
  layer: number | undefined,
  size: number,
): void {
  const refuse = (why: string): never => {
    throw new UserError(`vit:${spec}: ${why}`);
  };
  if (layer !== undefined && layer > config.depth) refuse(`layer is at most ${config.depth}, the number of its blocks`);
  if (layer !== undefined && (kind === 'pooled' || kind === 'embedding')) refuse(`${kind} is made of the last layer`);
  if (size < config.patchSize) refuse(`size is at least ${config.patchSize}, the side of a patch`);
  if (kind === 'class' && !config.classToken) refuse(`${config.family} has no class token; take mean or pooled`);
  if (kind === 'registers' && config.registers === 0) refuse('it has no registers');
  if (kind === 'embedding' && !('projection.weight' in params)) refuse('its weights have no projection');
}

function chosenTokens(
  { config, params }: Vision,
  pixels: Tensor4D,
  kind: VitTokens,
  layer: number | undefined,
): Tensor3D {
  const found = visionTokens(config, params, pixels, { layers: layer === undefined ? [] : [layer] });
  const tokens = layer === undefined ? found.hidden : found.layers[0];
  const { extra } = found;
  const part = (start: number, count: number): Tensor3D => tokens.slice([0, start, 0], [-1, count, -1]);
  const vector = (x: Tensor2D): Tensor3D => x.reshape([x.shape[0], 1, x.shape[1]]);
  const take: Record<VitTokens, () => Tensor3D> = {
    class: () => part(0, 1),
    registers: () => part(extra - config.registers, config.registers),
    patches: () => part(extra, -1),
    all: () => tokens,
    mean: () => part(extra, -1).mean<Tensor3D>(1, true),
    pooled: () => vector(pooled(config, params, tokens)),
    embedding: () => vector(imageEmbedding(params, pooled(config, params, tokens))!),
  };
  return take[kind]();
}

function nameOf({ config }: Vision, size: number, kind: VitTokens, layer: number | undefined): string {
  const registers = config.registers > 0 ? '-reg' : '';
  const at = layer === undefined ? '' : `-layer${layer}`;
  return `${config.family}${registers}-${config.width}x${config.depth}-${size}${at}-${kind}`;
}

const inputOf = ({ config: { input } }: Vision, size: number): string =>
  `${input.resample} (antialiased) to ${size}, 0 to 1, minus ${input.mean.join('/')} over ${input.std.join('/')}`;
