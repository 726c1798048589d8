import { join } from 'node:path';
import { nearestNeighbours } from '../../src/neighbours/index.js';
import { readNpy } from '../../src/io/index.js';
import { writePlanted } from './data.js';
import { apart, type Work } from './work.js';

interface Graph {
  rows: number;
  dims: number;
  neighbours: number;
  [name: string]: number;
}

export const work: Work<Graph> = {
  about: 'the k nearest other rows of every row, exactly, and their distances',
  peer: 'NearestNeighbors, brute, float32',
  cases: quick => [
    {
      label: 'k-NN graph',
      parameters: { ...(quick ? { rows: 3000, dims: 32 } : { rows: 50_000, dims: 128 }), neighbours: 15 },
      atLeast: 2,
    },
  ],
  prepare: ({ rows, dims }, { folder }) => writePlanted(join(folder, 'rows.npy'), { rows, dims, modes: 20 }),
  async open({ rows, dims, neighbours }, { folder }) {
    const data = (await readNpy(join(folder, 'rows.npy'))).data as Float32Array;
    return async () => {
      const found = await nearestNeighbours(data, rows, dims, neighbours);
      let [distances, checksum] = [0, 0];
      found.rows.forEach((row, at) => {
        distances += found.values[at];
        // One neighbour in another place, or another one in its place, changes it.
        checksum += row * (1 + (at % neighbours)) * (1 + (Math.floor(at / neighbours) % 97));
      });
      return { distances, checksum };
    };
  },
  difference: (ours, theirs) =>
    // A few pairs may be too close to a tie for float32.
    apart('distances', ours, theirs, 1e-6) ?? apart('checksum', ours, theirs, 1e-6),
};
