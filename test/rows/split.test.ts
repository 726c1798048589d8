import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { arrayRows, selectedRows, splitRows, type RowSource } from '../../src/rows/index.js';

async function collect(source: RowSource, options?: Parameters<RowSource['chunks']>[0]): Promise<number[]> {
  const out: number[] = [];
  for await (const { data } of source.chunks(options)) out.push(...data);
  return out;
}

describe('a split of rows', () => {
  it('has every row once, each part in order, the same by seed', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 200 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.nat(),
        (rows, share, seed) => {
          const { train, heldout } = splitRows(rows, share, seed);
          expect([...train, ...heldout].sort((a, b) => a - b)).toEqual(Array.from({ length: rows }, (_, i) => i));
          for (const part of [train, heldout]) {
            expect(part.length).toBeGreaterThan(0);
            expect([...part]).toEqual([...part].sort((a, b) => a - b));
          }
          expect(splitRows(rows, share, seed).train).toEqual(train);
        },
      ),
    );
  });
});

describe('selected rows', () => {
  const source = arrayRows(
    'all',
    Float32Array.from({ length: 40 }, (_, i) => i),
    20,
    2,
    Int32Array.from({ length: 20 }, (_, i) => i),
  );

  it('are those asked for, whatever the chunks and the range', async () => {
    const indices = Int32Array.of(0, 3, 4, 11, 19);
    const chosen = selectedRows(source, indices);
    expect(chosen.labels).toEqual(indices);
    const expected = [...indices].flatMap(row => [2 * row, 2 * row + 1]);
    for (const chunkRows of [1, 3, 100]) {
      expect(await collect(chosen, { chunkRows })).toEqual(expected);
      expect(await collect(chosen, { chunkRows, start: 1, end: 4 })).toEqual(expected.slice(2, 8));
    }
    // The source's own memory is untouched.
    expect((await collect(source)).slice(0, 4)).toEqual([0, 1, 2, 3]);
  });
});
