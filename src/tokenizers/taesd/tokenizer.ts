import { UserError } from '../../base/index.js';
import { tf, type Tensor, type Tensor4D } from '../../engine/index.js';
import type { NdArray } from '../../io/index.js';
import { under } from '../../nn/index.js';
import { tidied, toGrid, toTokens } from '../grid.js';
import { UNNORMALISED } from '../normalisation.js';
import type { OpenOptions, Tokenizer, TokenizerSource } from '../tokenizer.js';
import { runSequence } from './model.js';
import { loadNetwork, sequenceOf, type TaesdNetwork } from './networks.js';

/** Whether these are networks of the family: one sequence, or two under `encoder.` and `decoder.`. */
export function isTaesd({ weights }: TokenizerSource): boolean {
  const halves = networksIn(weights);
  return halves.length > 0 && halves.every(half => sequenceOf(Object.keys(half)) !== undefined);
}

/** Opens a tiny autoencoder; without a decoder it encodes only. */
export function openTaesd({ name, weights, digest }: TokenizerSource, options: OpenOptions): Tokenizer {
  const networks = networksIn(weights).map(half => loadNetwork(name, half, options));
  const encoder = networks.find(({ sequence }) => sequence.role === 'encoder');
  const decoder = networks.find(({ sequence }) => sequence.role === 'decoder');
  if (!encoder)
    throw new UserError(`${name}: holds only a decoder; a tokenizer needs the encoder, e.g. taef2:ENCODER,DECODER`);
  if (decoder && (decoder.channels !== encoder.channels || decoder.sequence.factor !== encoder.sequence.factor))
    throw new UserError(
      `${name}: the decoder takes ${decoder.channels} channels, the encoder gives ${encoder.channels}`,
    );
  const { factor } = encoder.sequence;
  const imageSize = options.imageSize ?? 256;
  const side = imageSize / factor;
  return {
    name: nameOf(encoder),
    family: 'taesd',
    imageSize,
    sizeMultiple: factor,
    latentShape: [side * side, encoder.channels],
    grid: [side, side],
    parameters: networks.flatMap(({ params }) => Object.values(params)).reduce((sum, { size }) => sum + size, 0),
    digest,
    posterior: 'none',
    normalisation: UNNORMALISED,
    pixels: 'RGB in [0, 1]',
    encode: images => tidied(() => toTokens(encodePixels(encoder, toUnit(images)))),
    decode: latents =>
      tidied(() => {
        if (!decoder)
          throw new UserError(`${name}: has no decoder; name it after the encoder, e.g. taef2:ENCODER,DECODER`);
        return fromUnit(tf.clipByValue(decodePixels(decoder, toGrid(latents)), 0, 1)) as Tensor4D;
      }),
    dispose: () => tf.dispose(networks.map(({ params }) => params)),
  };
}

/** pixels [n, h, w, 3] in [0, 1] → latents [n, h/f, w/f, c]. */
const encodePixels = ({ sequence, params }: TaesdNetwork, pixels: Tensor): Tensor4D =>
  runSequence(sequence.layers, params, pixels).output;

/** latents [n, h, w, c] → pixels [n, f·h, f·w, 3], not clamped. */
const decodePixels = ({ sequence, params }: TaesdNetwork, latents: Tensor): Tensor4D =>
  runSequence(sequence.layers, params, latents).output;

const toUnit = (images: Tensor): Tensor => images.add(1).div(2);
const fromUnit = (pixels: Tensor): Tensor => pixels.mul(2).sub(1);

function networksIn(weights: Record<string, NdArray>): Record<string, NdArray>[] {
  const halves = ['encoder', 'decoder'].map(half => under(weights, half)).filter(half => Object.keys(half).length > 0);
  return halves.length > 0 ? halves : [weights];
}

/** Names of the family's members, by their latent space. */
function nameOf({ sequence, channels, params }: TaesdNetwork): string {
  if (sequence.factor === 32) return 'taesana';
  if ('11.pool.0.weight' in params) return 'taef2';
  return channels === 4 ? 'taesd' : `taesd-c${channels}`;
}
