import { availableCores } from '../base/index.js';
import type { Communicator } from '../distributed/index.js';
import { arrayRows } from '../rows/index.js';
import { axesLeftOut, fitPca } from './pca.js';
import { pcaReduction, reducedRows } from './reduction.js';

export interface PlanarStartOptions {
  /** Hears where rows vary along one axis only. */
  tell?: (missing: string) => void;
  /** Ranks that hold all rows each and divide the products among them. */
  communicator?: Communicator;
}

/**
 * The first two principal components of rows in memory, [rows, 2]: the start of an embedding. The second is zero where
 * rows vary along one axis only.
 */
export async function planarStart(
  data: Float32Array,
  rows: number,
  width: number,
  { tell, communicator }: PlanarStartOptions = {},
): Promise<Float32Array> {
  const source = arrayRows('rows', data, rows, width);
  const out = new Float32Array(rows * 2);
  const pca = await fitPca(source, { dims: Math.min(2, width, rows), threads: availableCores(), communicator });
  const { dims } = pca;
  const missing = axesLeftOut(pca, 2);
  if (missing !== undefined) tell?.(missing);
  for await (const chunk of reducedRows(pcaReduction(pca, { dims, standardize: false }), source).chunks())
    for (let i = 0; i < chunk.rows; i++)
      for (let k = 0; k < dims; k++) out[2 * (chunk.start + i) + k] = chunk.data[i * dims + k];
  return out;
}
