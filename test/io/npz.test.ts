import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { openNpz, readNpz, writeNpz, type NdArray } from '../../src/io/index.js';
import { tempFolder } from '../helpers/temp.js';

const folder = tempFolder();
const at = (name: string): string => join(folder, name);
const latents: NdArray = { shape: [3, 2], dtype: 'float32', data: Float32Array.of(0, 1, 2, 3, 4, 5) };
const labels: NdArray = { shape: [3], dtype: 'int64', data: BigInt64Array.of(7n, 8n, 9n) };

describe('a .npz archive', () => {
  test('gives back what was written', async () => {
    await writeNpz(at('a.npz'), { latents, labels });
    expect(await readNpz(at('a.npz'))).toEqual({ latents, labels });
  });

  test('an array may come piece by piece', async () => {
    async function* pieces() {
      yield Float32Array.of(0, 1, 2);
      await Promise.resolve();
      yield Float32Array.of(3, 4, 5);
    }
    await writeNpz(at('whole.npz'), { latents });
    await writeNpz(at('pieces.npz'), { latents: { shape: [3, 2], dtype: 'float32', chunks: pieces() } });
    expect(await readFile(at('pieces.npz'))).toEqual(await readFile(at('whole.npz')));
  });

  test('the same arrays give the same bytes', async () => {
    await writeNpz(at('one.npz'), { latents, labels });
    await writeNpz(at('two.npz'), { latents, labels });
    expect(await readFile(at('one.npz'))).toEqual(await readFile(at('two.npz')));
  });

  test('pieces that stop short leave no file', async () => {
    async function* pieces() {
      await Promise.resolve();
      yield Float32Array.of(0);
    }
    const write = writeNpz(at('short.npz'), { x: { shape: [3], dtype: 'float32', chunks: pieces() } });
    await expect(write).rejects.toThrow(/array x: 1 numbers came/);
    await expect(readFile(at('short.npz'))).rejects.toThrow(/ENOENT/);
  });

  test('what pieces are made from may fail', async () => {
    // eslint-disable-next-line require-yield
    async function* pieces(): AsyncGenerator<Float32Array> {
      await Promise.resolve();
      throw new Error('no more noise');
    }
    const write = writeNpz(at('failed.npz'), { x: { shape: [3], dtype: 'float32', chunks: pieces() } });
    await expect(write).rejects.toThrow('no more noise');
  });

  test('rows are read in place', async () => {
    await writeNpz(at('rows.npz'), { latents });
    const npz = await openNpz(at('rows.npz'));
    const array = await npz.open('latents');
    expect((await array.readRows(1, 2)).data).toEqual(Float32Array.of(2, 3));
    await expect(npz.open('images')).rejects.toThrow(/holds no array images; it has latents/);
    await npz.close();
  });
});

describe('archives that NumPy wrote', () => {
  test('Fortran order, big-endian and half precision', async () => {
    const { f8, fortran, big, f2 } = await readNpz('fixtures/golden/io/savez.npz');
    expect([f8.shape, ...f8.data]).toEqual([[2, 3], 0, 1, 2, 3, 4, 5]);
    expect([fortran.shape, ...fortran.data]).toEqual([[2, 3], 0, 1, 2, 3, 4, 5]);
    expect(big.data).toEqual(Float32Array.of(0, 1, 2));
    expect(f2.data).toEqual(Float32Array.of(0.5));
  });

  test('compressed', async () => {
    const { latents, labels } = await readNpz('fixtures/golden/io/savez_compressed.npz');
    expect(latents).toEqual({ shape: [64, 8], dtype: 'float32', data: new Float32Array(512) });
    expect(labels.data).toEqual(BigInt64Array.from({ length: 64 }, (_, i) => BigInt(i)));
  });

  test('cut short or with a flipped bit are refused', async () => {
    const whole = await readFile('fixtures/golden/io/savez_compressed.npz');
    await writeFile(at('cut.npz'), whole.subarray(0, 300));
    await expect(readNpz(at('cut.npz'))).rejects.toThrow(/cut\.npz: is damaged or not a zip archive/);
    const stored = await readFile('fixtures/golden/io/savez.npz');
    stored[stored.indexOf('NUMPY') + 128] ^= 1;
    await writeFile(at('flipped.npz'), stored);
    await expect(readNpz(at('flipped.npz'))).rejects.toThrow(/flipped\.npz:f8\.npy: its checksum does not match/);
  });
});
