import { SimdModule } from '../simd/index.js';
import { COVARIANCES } from './covariance/index.js';
import {
  addExpectation,
  addMaximisation,
  addSeeding,
  diagonalDistance,
  importProducts,
  PASSES,
  type MemoryLayout,
} from './kernels/index.js';

/** The routines for one shape of fit: its covariance type's E-step and M-step, and k-means for the start. `native`: it imports products. */
export function mixtureModule(layout: MemoryLayout, { native = false } = {}): Uint8Array<ArrayBuffer> {
  const m = new SimdModule(layout.pages);
  const products = native ? importProducts(m) : undefined;
  const diagonal = diagonalDistance(m, layout);
  COVARIANCES[layout.covariance].addKernels({ m, layout, diagonal, products });
  addExpectation(m, layout, {
    pass: PASSES.assign,
    distance: diagonal,
    means: layout.centres,
    factors: layout.ones,
    factorStride: 0,
    data: layout.data,
    hard: true,
  });
  addMaximisation(m, layout, { pass: PASSES.average, means: layout.centres, moments: 'none', hard: true });
  addSeeding(m, layout, diagonal);
  return m.bytes();
}
