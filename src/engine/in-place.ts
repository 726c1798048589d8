import { adamInPlace, hasKernels, holders, moveInPlace, squaresOf } from './kernels.js';
import type { Tensor } from './tf.js';
import { wasmUpdates } from './wasm-updates.js';

/** Kernels that read, or change, many tensors at once, without a copy. */
export interface InPlace {
  /** How many tensors share the memory of this one. */
  holders(x: Tensor): number;
  /** AdamW on all parameters; scalars [6] as `updates.ts` says. */
  adam(p: Tensor[], m: Tensor[], v: Tensor[], gradients: Tensor[], scalars: Tensor): void;
  /** x ← x + share (target − x). */
  move(xs: Tensor[], targets: Tensor[], share: Tensor): void;
  /** Σ x² over all entries, a scalar. */
  squares(xs: Tensor[]): Tensor;
}

const NATIVE: InPlace = { holders, adam: adamInPlace, move: moveInPlace, squares: squaresOf };

/** Those of the running engine, where it has them. */
export const inPlace = (): InPlace | undefined => (hasKernels() ? NATIVE : wasmUpdates());
