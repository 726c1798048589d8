import { SimdModule } from '../../simd/index.js';
import { diagonalDistance, triangularDistance } from './distance.js';
import { addExpectation, addSeeding } from './expectation.js';
import { addFactorisation, addWhitening } from './factor.js';
import { scratchOffsets, type Layout } from './layout.js';
import { addMaximisation } from './maximisation.js';

export { planLayout, SEGMENT, TILE, type Layout, type Shape } from './layout.js';

/** The module for one shape of fit: `expect`, `maximise` and the like. */
export function mixtureModule(layout: Layout): Uint8Array<ArrayBuffer> {
  const { covariance, rowBytes, dims, components } = layout;
  const m = new SimdModule(layout.pages);
  const scratch = scratchOffsets(dims, components, covariance);
  const diagonal = diagonalDistance(m, layout);
  const common = { means: layout.means, data: layout.data, hard: false, name: 'expect' };
  const ones = { distance: diagonal, factors: layout.ones, factorStride: 0 };
  if (covariance === 'full') {
    const distance = triangularDistance(m, layout);
    addExpectation(m, layout, scratch, {
      ...common,
      distance,
      factors: layout.factors,
      factorStride: layout.factorBytes,
    });
  } else if (covariance === 'tied') {
    addExpectation(m, layout, scratch, { ...common, ...ones, means: layout.centres, data: layout.whitened });
    addWhitening(m, layout);
  } else
    addExpectation(m, layout, scratch, {
      ...common,
      distance: diagonal,
      factors: layout.factors,
      factorStride: rowBytes,
    });
  const moments = covariance === 'full' ? 'outer' : covariance === 'tied' ? 'none' : 'squares';
  addMaximisation(m, layout, scratch, { name: 'maximise', means: layout.means, moments, hard: false });
  addMaximisation(m, layout, scratch, { name: 'gather', means: layout.means, moments, hard: true });
  if (covariance === 'tied')
    addMaximisation(m, layout, scratch, { name: 'scatter', means: layout.means, moments: 'outer', hard: true });
  const kmeans = { means: layout.centres, hard: true };
  addExpectation(m, layout, scratch, { ...kmeans, ...ones, name: 'assign', data: layout.data });
  addMaximisation(m, layout, scratch, { ...kmeans, name: 'average', moments: 'none' });
  addSeeding(m, layout, scratch, diagonal);
  if (covariance === 'full' || covariance === 'tied') addFactorisation(m, layout, scratch);
  return m.bytes();
}

export { NEGLIGIBLE } from './expectation.js';
