import { linearShapes, normShapes, prefixed, repeatedShapes, type Shapes } from '../../nn/index.js';

/* Names of the decoder's tensors. What the forward passes read is diffusers' spelling. */

/** The authors' names of an attention's layers (those of transformers' ViT-MAE) → diffusers'. */
const ATTENTION: [theirs: string, ours: string][] = [
  ['attention.attention.query', 'attention.to_q'],
  ['attention.attention.key', 'attention.to_k'],
  ['attention.attention.value', 'attention.to_v'],
  ['attention.output.dense', 'attention.to_out.0'],
];

export type DecoderSpelling = 'diffusers' | 'authors';

/** Whether these are the names of an RAE, or of its decoder alone with `prefix` ''. */
export const hasDecoder = (keys: readonly string[], prefix = 'decoder.'): boolean =>
  ['decoder_embed.weight', 'decoder_layers.0.layernorm_before.weight', 'decoder_pred.weight'].every(key =>
    keys.includes(prefix + key),
  );

/** The decoder's tensors under diffusers' names, and in which spelling they were found. */
export function decoderArrays<T>(weights: Record<string, T>): { arrays: Record<string, T>; spelling: DecoderSpelling } {
  const found = Object.entries(weights).filter(([key]) => key.startsWith('decoder.'));
  // A decoder's own file may say so once more.
  const cut = found.every(([key]) => key.startsWith('decoder.decoder.')) ? 'decoder.decoder.' : 'decoder.';
  const isTheirs = ([key]: [string, T]): boolean => ATTENTION.some(([theirs]) => key.includes(`.${theirs}.`));
  return {
    arrays: Object.fromEntries(found.map(([key, array]) => [renamed(key.slice(cut.length)), array])),
    spelling: found.some(isTheirs) ? 'authors' : 'diffusers',
  };
}

const renamed = (key: string): string =>
  ATTENTION.reduce((name, [theirs, ours]) => name.replace(`.${theirs}.`, `.${ours}.`), key);

/** A decoder's tensors under the authors' names. */
export const asAuthors = <T>(arrays: Record<string, T>): Record<string, T> =>
  Object.fromEntries(
    Object.entries(arrays).map(([key, array]) => [
      ATTENTION.reduce((name, [theirs, ours]) => name.replace(`.${ours}.`, `.${theirs}.`), key),
      array,
    ]),
  );

/** Sizes of a decoder. */
export interface DecoderSizes {
  /** Channels of the latents. */
  channels: number;
  width: number;
  depth: number;
  /** Width of the hidden layer of an MLP. */
  hidden: number;
  patchSize: number;
}

/** Every parameter of a decoder under diffusers' names. */
export function decoderShapes({ channels, width, depth, hidden, patchSize }: DecoderSizes): Shapes {
  const square = linearShapes(width, width);
  const layer = named({
    layernorm_before: normShapes(width),
    'attention.to_q': square,
    'attention.to_k': square,
    'attention.to_v': square,
    'attention.to_out.0': square,
    layernorm_after: normShapes(width),
    'intermediate.dense': linearShapes(width, hidden),
    'output.dense': linearShapes(hidden, width),
  });
  return {
    trainable_cls_token: [1, 1, width],
    ...repeatedShapes('decoder_layers', depth, layer),
    ...named({
      decoder_embed: linearShapes(channels, width),
      decoder_norm: normShapes(width),
      decoder_pred: linearShapes(width, 3 * patchSize ** 2),
    }),
  };
}

/** Tensors of layers by the layers' names. */
export const named = (layers: Record<string, Shapes>): Shapes =>
  Object.assign({}, ...Object.entries(layers).map(([name, shapes]) => prefixed(shapes, name))) as Shapes;
