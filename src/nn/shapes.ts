import type { Shapes } from './preset.js';
import { prefixed } from './params.js';

/** Shapes of layers as PyTorch keeps them, of which a network's listing is put together. */
export const linearShapes = (inputs: number, outputs: number, bias = true): Shapes => ({
  weight: [outputs, inputs],
  ...(bias ? { bias: [outputs] } : {}),
});

export const convShapes = (inputs: number, outputs: number, kernel: number): Shapes => ({
  weight: [outputs, inputs, kernel, kernel],
  bias: [outputs],
});

/** A norm with a bias, as LayerNorm and GroupNorm have; RMSNorm has a weight alone. */
export const normShapes = (width: number): Shapes => ({ weight: [width], bias: [width] });

/** `shapes` under `prefix.0`, `prefix.1`, … */
export const repeatedShapes = (prefix: string, count: number, shapes: Shapes): Shapes =>
  Object.assign({}, ...Array.from({ length: count }, (_, i) => prefixed(shapes, `${prefix}.${i}`))) as Shapes;
