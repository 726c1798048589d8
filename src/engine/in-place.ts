import { hasKernels } from './compiled.js';
import { adamInPlace, holders, momentumInPlace, moveInPlace, squaresOf, type InPlace } from './kernels.js';
import { wasmUpdates } from './wasm-updates.js';

const NATIVE: InPlace = {
  holders,
  adam: adamInPlace,
  momentum: momentumInPlace,
  move: moveInPlace,
  squares: squaresOf,
};

/** Those of the running engine, where it has them. */
export const inPlace = (): InPlace | undefined => (hasKernels() ? NATIVE : wasmUpdates());
