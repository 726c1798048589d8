import { beforeAll, describe, expect, test } from '@jest/globals';
import { startEngine, tf } from '../../src/engine/index.js';
import { readNpz, type NdArray } from '../../src/io/index.js';
import { drawNeighbour, isCopy, moved, nearestLatents, type TrainingBlock } from '../../src/metrics/index.js';

let recorded: Record<string, NdArray>;
beforeAll(async () => {
  await startEngine();
  recorded = await readNpz('fixtures/golden/interpolation/interpolation.npz');
});

const rowsOf = ({ data, shape }: NdArray): Float32Array[] =>
  Array.from({ length: shape[0] }, (_, i) => Float32Array.from(data.slice(i * shape[1], (i + 1) * shape[1]), Number));
const matrix = ({ data, shape }: NdArray, first = 0, end = shape[0]) =>
  tf.tensor2d(Float32Array.from(data.slice(first * shape[1], end * shape[1]), Number), [end - first, shape[1]]);
const integers = ({ data }: NdArray): Int32Array => Int32Array.from(data, Number);

/** The training latents in blocks of a size that does not divide their number. */
async function* blocks(): AsyncGenerator<TrainingBlock> {
  const { training } = recorded;
  for (let start = 0; start < training.shape[0]; start += 64)
    yield await Promise.resolve({ x: matrix(training, start, Math.min(start + 64, training.shape[0])), start });
}

// Recorded with NumPy in float64 by fixtures/golden/interpolation/record.py.
describe.each(['slerp', 'linear'] as const)('interpolation by %s', way => {
  test.each([false, true])('finds the recorded neighbours and latents, within classes: %p', async within => {
    const before = tf.memory().numTensors;
    const queries = matrix(recorded.held_out);
    const classes = {
      queries: integers(recorded['classes.held_out']),
      rows: integers(recorded['classes.training']),
    };
    const nearest = await nearestLatents(way, queries, blocks(), within ? classes : undefined);
    queries.dispose();
    expect(tf.memory().numTensors).toBe(before);

    const name = within ? `${way}.within` : way;
    const expected = rowsOf(recorded[`${name}.nearest`]).map(row => [...row].filter(found => found >= 0));
    expect(nearest.map(found => [...found])).toEqual(expected);
    expect(nearest.some(({ length }) => length < 10)).toBe(within);

    const training = rowsOf(recorded.training);
    const uniforms = rowsOf({ ...recorded.uniforms, shape: [6, 1] });
    const latents = rowsOf(recorded.held_out).map((z, i) => {
      const candidates = Array.from(nearest[i], row => training[row]);
      return moved(way, z, candidates[drawNeighbour(z, candidates, uniforms[i][0])]);
    });
    const truth = rowsOf(recorded[`${name}.interpolated`]);
    for (const [i, z] of latents.entries()) expect(z).toBeAllClose(truth[i], { atol: 1e-5 });
  });
});

test('neighbours are drawn by their nearness', () => {
  const z = Float32Array.of(0, 0);
  const candidates = [0, 1, 2].map(x => Float32Array.of(x, x));
  const total = 1 + Math.exp(-1) + Math.exp(-4);
  const drawn = [0, 1 / total - 1e-4, 1 / total + 1e-4, (total - Math.exp(-4)) / total + 1e-4, 1 - 1e-7];
  expect(drawn.map(uniform => drawNeighbour(z, candidates, uniform))).toEqual([0, 0, 1, 2, 2]);
});

test('the same image is known again after rounding to 16 bits', () => {
  const z = Float32Array.from({ length: 64 }, (_, i) => Math.sin(i) * 3);
  const rounded = z.map(value => Number(value.toPrecision(4)));
  expect([
    isCopy(z, rounded),
    isCopy(
      z,
      z.map(value => value + 0.05),
    ),
  ]).toEqual([true, false]);
});
