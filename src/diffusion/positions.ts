import { gridPositions } from '../nn/index.js';
import type { NetworkConfig } from './config.js';
import { sequenceLength } from './config.js';

/* Fixed tables of positions, as the published state dicts store them. */

const BASE = 10_000;

/** BASE^(−2i / d), i < d/2. */
const frequencies = (d: number): number[] => Array.from({ length: d / 2 }, (_, i) => BASE ** ((-2 * i) / d));

/** [rows, columns] of the transformer's own tokens. */
export function tokenGrid({ grid, patch }: NetworkConfig): [number, number] | undefined {
  return grid && [grid[0] / patch, grid[1] / patch];
}

/**
 * The sinusoids added to the tokens, [tokens, width]. Along a line sines and cosines alternate; on a grid the first
 * half of the features encodes the column and the second the row, each sines first.
 */
export function positionTable(config: NetworkConfig): Float32Array {
  const { width } = config;
  const grid = tokenGrid(config);
  if (!grid) {
    const waves = frequencies(width);
    return table(sequenceLength(config), t => waves.flatMap(w => [Math.sin(t * w), Math.cos(t * w)]));
  }
  const waves = frequencies(width / 2);
  const axis = (position: number): number[] => [
    ...waves.map(w => Math.sin(position * w)),
    ...waves.map(w => Math.cos(position * w)),
  ];
  const { x, y } = gridPositions(...grid);
  return table(x.length, t => [...axis(x[t]), ...axis(y[t])]);
}

/**
 * Cosines and sines of the rotation of queries and keys, each [tokens, d]: adjacent pairs share an angle. On a grid
 * the first half of a head turns by the row and the second by the column, along a line all of it by the place.
 */
export function rotaryTables(config: NetworkConfig): { cos: Float32Array; sin: Float32Array } {
  const d = config.width / config.heads;
  const grid = tokenGrid(config);
  const { x, y } = grid ? gridPositions(...grid) : gridPositions(1, sequenceLength(config));
  const waves = frequencies(grid ? d / 2 : d);
  const angles = (t: number): number[] => {
    const axes = grid ? [y[t], x[t]] : [x[t]];
    return axes.flatMap(position => waves.flatMap(w => [position * w, position * w]));
  };
  return { cos: table(x.length, t => angles(t).map(Math.cos)), sin: table(x.length, t => angles(t).map(Math.sin)) };
}

function table(tokens: number, row: (token: number) => number[]): Float32Array {
  return Float32Array.from(Array.from({ length: tokens }, (_, t) => row(t)).flat());
}
