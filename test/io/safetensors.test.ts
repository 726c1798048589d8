import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  elementCount,
  openSafetensors,
  readSafetensors,
  writeSafetensors,
  type DType,
  type NdArray,
} from '../../src/io/index.js';
import { tempFolder } from '../helpers/temp.js';

const folder = tempFolder();
const at = (name: string): string => join(folder, name);

/** A file of this header, padded as asked, and `bytes` zero bytes of data. */
async function craft(name: string, header: unknown, bytes = 0): Promise<string> {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  await writeFile(at(name), Buffer.concat([length, json, Buffer.alloc(bytes)]));
  return at(name);
}

const f32 = (values: number[], shape = [values.length]): NdArray => ({
  shape,
  dtype: 'float32',
  data: Float32Array.from(values),
});

describe('a safetensors file', () => {
  const arrays: Record<string, NdArray> = {
    'blocks.0.weight': f32([1, -2.5, 3e-8, Infinity, 0, -0], [2, 3]),
    scalar: { shape: [], dtype: 'float64', data: Float64Array.of(Math.PI) },
    labels: { shape: [3], dtype: 'int64', data: BigInt64Array.of(-1n, 0n, 2n ** 40n) },
    mask: { shape: [2], dtype: 'bool', data: Uint8Array.of(1, 0) },
    bytes: { shape: [3], dtype: 'uint8', data: Uint8Array.of(0, 128, 255) },
    small: { shape: [2], dtype: 'int16', data: Int16Array.of(-32768, 7) },
    ints: { shape: [2], dtype: 'int32', data: Int32Array.of(-5, 5) },
    signed: { shape: [1], dtype: 'int8', data: Int8Array.of(-128) },
    none: { shape: [0, 4], dtype: 'float32', data: new Float32Array(0) },
  };

  test('gives back what was written, metadata included', async () => {
    await writeSafetensors(at('all.safetensors'), arrays, { metadata: { format: 'pt', note: 'ä' } });
    expect(await readSafetensors(at('all.safetensors'))).toEqual(arrays);
    const file = await openSafetensors(at('all.safetensors'));
    expect(file.metadata).toEqual({ format: 'pt', note: 'ä' });
    expect(file.tensors.get('blocks.0.weight')).toMatchObject({ dtype: 'float32', shape: [2, 3] });
    await file.close();
  });

  test('the same tensors in another order give the same bytes', async () => {
    await writeSafetensors(at('one.safetensors'), arrays, { metadata: { a: '1', b: '2' } });
    const reversed = Object.fromEntries(Object.entries(arrays).reverse());
    await writeSafetensors(at('two.safetensors'), reversed, { metadata: { b: '2', a: '1' } });
    expect(await readFile(at('one.safetensors'))).toEqual(await readFile(at('two.safetensors')));
  });

  test('half precision rounds on the way out and comes back as float32', async () => {
    const values = [1, 1 + 2 ** -12, 65504, 2 ** -24, -0.1];
    for (const dtype of ['float16', 'bfloat16'] as const) {
      await writeSafetensors(at(`${dtype}.safetensors`), { x: { ...f32(values), dtype } });
      const { x } = await readSafetensors(at(`${dtype}.safetensors`));
      expect(x.dtype).toBe('float32');
      expect(x.data).toBeAllClose(values, { rtol: 0, atol: dtype === 'float16' ? 1e-3 : 300 });
    }
  });

  test('a number too large for half precision is refused by the tensor’s name, and nothing is left behind', async () => {
    const write = writeSafetensors(at('big.safetensors'), { 'head.bias': { ...f32([1, 7e4]), dtype: 'float16' } });
    await expect(write).rejects.toThrow(/head\.bias.*70000 at 1 is too large for float16/);
    await expect(readFile(at('big.safetensors'))).rejects.toThrow(/ENOENT/);
  });

  test('rows are read without the rest', async () => {
    await writeSafetensors(at('rows.safetensors'), { x: f32([0, 1, 2, 3, 4, 5], [3, 2]) });
    const file = await openSafetensors(at('rows.safetensors'));
    expect(await file.readRows('x', 1, 3)).toEqual(f32([2, 3, 4, 5], [2, 2]));
    await expect(file.readRows('x', 2, 4)).rejects.toThrow(/rows 2 to 4/);
    await file.close();
  });

  test('an existing file stays unless forced', async () => {
    await writeSafetensors(at('kept.safetensors'), { x: f32([1]) });
    await expect(writeSafetensors(at('kept.safetensors'), { x: f32([2]) })).rejects.toThrow(/already exists.*--force/);
    await writeSafetensors(at('kept.safetensors'), { x: f32([2]) }, { force: true });
    expect((await readSafetensors(at('kept.safetensors'))).x.data).toEqual(Float32Array.of(2));
  });

  test('a tensor that is not there is asked for by name', async () => {
    await writeSafetensors(at('has.safetensors'), { x: f32([1]) });
    const file = await openSafetensors(at('has.safetensors'));
    await expect(file.read('y')).rejects.toThrow(/has\.safetensors: holds no tensor y; it has x/);
    await file.close();
  });

  test('any arrays survive the way out and back', async () => {
    const dtype = fc.constantFrom<DType>('float32', 'float64', 'int32', 'uint8', 'int64', 'bool');
    const shape = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 });
    const array = fc.tuple(dtype, shape, fc.integer()).map(([dtype, shape, seed]) => zeros(dtype, shape, seed));
    const names = fc.string({ unit: 'grapheme', minLength: 1 }).filter(name => name !== '__metadata__');
    let file = 0;
    await fc.assert(
      fc.asyncProperty(fc.dictionary(names, array, { maxKeys: 6 }), async arrays => {
        const path = at(`any-${file++}.safetensors`);
        await writeSafetensors(path, arrays);
        expect(new Map(Object.entries(await readSafetensors(path)))).toEqual(new Map(Object.entries(arrays)));
      }),
      { numRuns: 60 },
    );
  });
});

function zeros(dtype: DType, shape: number[], seed: number): NdArray {
  const count = elementCount(shape);
  const data = {
    float32: () => new Float32Array(count).fill(seed / 3),
    float64: () => new Float64Array(count).fill(seed / 3),
    int32: () => new Int32Array(count).fill(seed),
    int64: () => new BigInt64Array(count).fill(BigInt(seed)),
  } as Partial<Record<DType, () => NdArray['data']>>;
  return { dtype, shape, data: (data[dtype] ?? (() => new Uint8Array(count).fill(1)))() };
}

describe('a damaged safetensors file is refused in one line with the file and the tensor', () => {
  const entry = (shape: number[], offsets: number[], dtype = 'F32') => ({ dtype, shape, data_offsets: offsets });
  const cases: [why: string, header: unknown, bytes: number, message: RegExp][] = [
    ['cut short', { w: entry([2], [0, 8]) }, 7, /tensor w: ends at byte .* truncated/],
    ['sizes that contradict', { w: entry([3], [0, 8]) }, 8, /tensor w: F32 \[3\] needs 12 bytes, its offsets give 8/],
    ['an overlap', { a: entry([2], [0, 8]), b: entry([2], [4, 12]) }, 12, /tensor b: overlaps/],
    ['a hole', { a: entry([1], [0, 4]), b: entry([1], [8, 12]) }, 12, /tensor b: 4 bytes before it/],
    ['a tail', { a: entry([1], [0, 4]) }, 9, /5 bytes at its end/],
    ['an unknown dtype', { w: entry([1], [0, 1], 'F9') }, 1, /tensor w: dtype F9 cannot be read/],
    ['a negative side', { w: entry([-1], [0, 4]) }, 4, /tensor w: its shape is damaged/],
    ['a huge side', { w: entry([2 ** 40, 2 ** 40], [0, 4]) }, 4, /tensor w: F32 .* needs/],
    ['offsets of another kind', { w: entry([1], [0, 4.5]) }, 4, /tensor w: its offsets are damaged/],
    ['no JSON', '{"w":', 4, /is not a safetensors file/],
  ];
  test.each(cases)('%s', async (why, header, bytes, message) => {
    const path = await craft(`${why}.safetensors`, header, bytes);
    await expect(openSafetensors(path)).rejects.toThrow(message);
    await expect(openSafetensors(path)).rejects.toMatchObject({ name: 'UserError' });
  });

  test('a header longer than the file', async () => {
    await writeFile(at('short.safetensors'), Buffer.from([200, 0, 0, 0, 0, 0, 0, 0, 123]));
    await expect(openSafetensors(at('short.safetensors'))).rejects.toThrow(/truncated within its header/);
  });

  test.each([
    ['nothing', '', /is not a safetensors file: it is empty/],
    ['a web page', '<!doctype html><title>404</title>', /it is a web page; download it again/],
    [
      'a Git LFS pointer',
      'version https://git-lfs.github.com/spec/v1\noid sha256:0',
      /Git LFS pointer; .*git lfs pull/,
    ],
  ])('%s in its place is called what it is', async (_, content, message) => {
    await writeFile(at('in-its-place.safetensors'), content);
    await expect(openSafetensors(at('in-its-place.safetensors'))).rejects.toThrow(message);
  });
});

describe('shards under one index', () => {
  test('read as one file', async () => {
    await writeSafetensors(at('model-1.safetensors'), { a: f32([1]) });
    await writeSafetensors(at('model-2.safetensors'), { b: f32([2, 3], [2, 1]) });
    const index = { weight_map: { a: 'model-1.safetensors', b: 'model-2.safetensors' } };
    await writeFile(at('model.safetensors.index.json'), JSON.stringify(index));
    expect(await readSafetensors(at('model.safetensors.index.json'))).toEqual({ a: f32([1]), b: f32([2, 3], [2, 1]) });
  });

  test('may not lead out of their folder', async () => {
    await writeFile(at('out.index.json'), JSON.stringify({ weight_map: { a: '../model-1.safetensors' } }));
    await expect(openSafetensors(at('out.index.json'))).rejects.toThrow(/tensor a: its file must be a name/);
  });
});
