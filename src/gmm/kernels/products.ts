import type { Addon, Routine, SimdModule } from '../../simd/index.js';
import { DISMISSED, EVALUATE } from './expectation.js';
import { TILE, type MemoryLayout } from './layout.js';
import { OUTER } from './maximisation.js';

/** Routines that native/products has for wider vectors than WebAssembly's, with the same bits as a result. */
export interface Products {
  evaluate: Routine;
  outer: Routine;
}

/** Declares them; before all other routines of the module. */
export const importProducts = (m: SimdModule): Products => ({
  evaluate: m.imported('evaluate', EVALUATE),
  outer: m.imported('outer', OUTER),
});

/** What the addon needs to know of a memory: see `Bound` in native/products/addon.cc. */
export function productsAddon(path: string, layout: MemoryLayout): Addon {
  const { width, means, factors, factorBytes, constants, offsets } = layout;
  const { centred, panel, weighted } = offsets;
  const places = Int32Array.of(width, TILE, means, factors, factorBytes, constants, centred, panel, weighted);
  return { path, values: [places, DISMISSED] };
}
