import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { writeNpy, writeSafetensors } from '../../src/io/index.js';
import { arrayRows, npyRows, type ChunkOptions, type RowSource } from '../../src/rows/index.js';
import { tensorRows } from '../../src/rows/sources.js';
import { tempFolder } from '../helpers/temp.js';

const folder = tempFolder();
const data = Float32Array.from({ length: 7 * 6 }, (_, i) => i);
const labels = Int32Array.from({ length: 7 }, (_, i) => i % 3);

async function gather(source: RowSource, options?: ChunkOptions): Promise<{ starts: number[]; data: number[] }> {
  const starts: number[] = [];
  const numbers: number[] = [];
  for await (const chunk of source.chunks(options)) {
    starts.push(chunk.start);
    expect(chunk.data.length).toBe(chunk.rows * source.width);
    numbers.push(...chunk.data);
  }
  return { starts, data: numbers };
}

const SOURCES: Record<string, () => Promise<RowSource>> = {
  memory: () => Promise.resolve(arrayRows('memory', data, 7, 6, labels)),
  npy: async () => {
    const path = join(folder, 'rows.npy');
    await writeNpy(path, { shape: [7, 2, 3], dtype: 'float32', data }, { force: true });
    return await npyRows(path, labels);
  },
  safetensors: async () => {
    const path = join(folder, 'rows.safetensors');
    const other = { shape: [2], dtype: 'float32' as const, data: Float32Array.of(9, 9) };
    await writeSafetensors(path, { other, x: { shape: [7, 6], dtype: 'float32', data } }, { force: true });
    return await tensorRows(path, 'x', labels);
  },
};

describe.each(Object.keys(SOURCES))('rows from %s', kind => {
  test('come whole, in order, again and again', async () => {
    const source = await SOURCES[kind]();
    expect([source.rows, source.width]).toEqual([7, 6]);
    expect(source.labels).toEqual(labels);
    for (let pass = 0; pass < 2; pass++) expect((await gather(source)).data).toEqual([...data]);
  });

  test.each([1, 3, 6, 7, 8])('in chunks of %d', async chunkRows => {
    const { starts, data: read } = await gather(await SOURCES[kind](), { chunkRows });
    expect(read).toEqual([...data]);
    expect(starts).toEqual(Array.from({ length: Math.ceil(7 / chunkRows) }, (_, i) => i * chunkRows));
  });

  test('from a first row to a last one', async () => {
    const { starts, data: read } = await gather(await SOURCES[kind](), { start: 2, end: 5, chunkRows: 2 });
    expect(starts).toEqual([2, 4]);
    expect(read).toEqual([...data.subarray(12, 30)]);
  });

  test('may be left half-way', async () => {
    const source = await SOURCES[kind]();
    for await (const chunk of source.chunks({ chunkRows: 2 })) {
      expect(chunk.start).toBe(0);
      break;
    }
    expect((await gather(source)).data).toEqual([...data]);
  });
});

test('a single axis holds no rows', async () => {
  const path = join(folder, 'flat.npy');
  await writeNpy(path, { shape: [4], dtype: 'float32', data: new Float32Array(4) });
  await expect(npyRows(path)).rejects.toThrow(/flat\.npy: has shape \[4\]; rows need two axes/);
});
