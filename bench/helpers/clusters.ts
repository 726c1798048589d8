import type { RandomNumbers } from '../../src/base/index.js';

/** Clusters of Gaussian rows on separate eight-dimensional planes, [rows, width]. */
export function clusteredRows(rows: number, width: number, random: RandomNumbers): Float32Array {
  const [clusters, inner] = [20, 8];
  const centres = random.for('centres').normals(clusters * width);
  const planes = random.for('planes').normals(clusters * inner * width);
  const cluster = random.for('cluster').integers(rows, clusters);
  const data = new Float32Array(rows * width);
  for (let i = 0; i < rows; i++) {
    const c = cluster[i];
    const z = random.for('within').at(i).normals(inner);
    for (let j = 0; j < width; j++) {
      data[i * width + j] = centres[c * width + j];
      for (let a = 0; a < inner; a++) data[i * width + j] += 0.3 * z[a] * planes[(c * inner + a) * width + j];
    }
  }
  return data;
}
