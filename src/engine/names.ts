/* The words of this room, which types and options are made of. */

/** In the order of preference: the first that starts is taken. */
export const ENGINES = ['gpu', 'native', 'stock', 'wasm', 'js'] as const;
export type EngineKind = (typeof ENGINES)[number];

/** What each engine is, for `doctor` and for messages. */
export const ENGINE_NAMES: Record<EngineKind, string> = {
  gpu: 'TensorFlow on a GPU',
  native: 'TensorFlow on the CPU',
  stock: 'the TensorFlow that tfjs-node installed',
  wasm: 'WebAssembly',
  js: 'plain JavaScript',
};

/** Of matrix products. */
export const PRECISIONS = ['f32', 'bf16'] as const;
export type Precision = (typeof PRECISIONS)[number];
