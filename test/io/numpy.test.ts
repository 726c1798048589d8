import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { classesFrom, namedClasses, openNpz, openNpy, readNpz, type NamelessDType } from '../../src/io/index.js';

/** Recorded by fixtures/golden/io/numpy/record.py from NumPy 2.4.6 and ml_dtypes 0.6.0. */
const at = (name: string): string => fileURLToPath(new URL(`../../fixtures/golden/io/numpy/${name}`, import.meta.url));

async function classes(name: string) {
  const npz = await openNpz(at('labels.npz'));
  try {
    return classesFrom(name, await npz.readValues(name), 5);
  } finally {
    await npz.close();
  }
}

describe('labels as NumPy saves them', () => {
  test.each([
    ...['i1', 'u1', 'i2', 'u2', 'i4', 'u4', 'i8', 'u8', 'f2', 'f4', 'f8'],
    ...['big_i2', 'big_u4', 'big_i8', 'big_f4', 'big_f8', 'column', 'row', 'one_hot', 'fortran_one_hot'],
  ])('%s: whole numbers from 0 stay what they are', async name => {
    expect(await classes(name)).toEqual({ labels: Int32Array.of(3, 1, 7, 1, 3) });
  });

  test.each([
    ['negative', [1, 0, 2, 0, 1], ['-3', '-1', '3']],
    ['huge', [1, 0, 2, 0, 1], ['10000000000', '30000000000', '70000000000']],
    ['text', [1, 0, 2, 0, 1], ['ape', 'müsli', '😀 zoo']],
    ['big_text', [1, 0, 2, 0, 1], ['ape', 'müsli', '😀 zoo']],
    ['bytes', [1, 0, 2, 0, 1], ['ape', 'müsli', 'zoo']],
  ])('%s: what cannot count names is sorted and keeps its name', async (name, labels, names) => {
    expect(await classes(name)).toEqual({ labels: Int32Array.from(labels), classes: names });
  });

  test('flags are 0 and 1', async () => {
    expect((await classes('flags')).labels).toEqual(Int32Array.of(1, 0, 1, 0, 1));
  });

  test.each([
    ['half', /half: row 0 has label 3\.5; labels are whole numbers or text/],
    ['not_a_number', /row 1 has label NaN/],
    ['two_hot', /labels \[5, 3\] whose row 0 is not one-hot/],
    ['objects', /objects.*Python objects, which are never unpickled; save text with \.astype\(str\)/],
    ['few', /4 labels for 5 rows/],
  ])('%s is refused by name', async (name, message) => {
    await expect(classes(name)).rejects.toThrow(message);
  });

  test('classes are those that occur, under their own numbers', () => {
    const labels = Int32Array.of(7, 2, 7, 40);
    expect(namedClasses({ labels })).toEqual({ labels: Int32Array.of(1, 0, 1, 2), classes: ['2', '7', '40'] });
  });
});

describe('numbers whose type NumPy does not name', () => {
  test.each([
    ['bfloat16.npy', 'bfloat16'],
    ['float8_e4m3fn.npy', 'float8_e4m3fn'],
    ['float8_e5m2.npy', 'float8_e5m2'],
  ] as [string, NamelessDType][])('%s gives what ml_dtypes gives, every code', async (file, nameless) => {
    const npy = await openNpy(at(file), { nameless });
    const { data, dtype } = await npy.read();
    await npy.close();
    expect(dtype).toBe('float32');
    expect(data).toEqual((await readNpz(at('values.npz')))[nameless].data);
  });

  test.each([
    ['bfloat16.npy', /dtype <V2 says only how many bytes.*--dtype bfloat16/],
    ['float8_e4m3fn.npy', /dtype <V1 says only how many bytes.*--dtype float8_e4m3fn or float8_e5m2/],
  ])('%s is refused with the remedy where nobody says what they are', async (file, message) => {
    await expect(openNpy(at(file))).rejects.toThrow(message);
  });

  test('the type that keeps a letter needs no word', async () => {
    const npy = await openNpy(at('float8_e5m2.npy'));
    expect(npy.dtype).toBe('float8_e5m2');
    await npy.close();
  });
});

describe('other contents of an archive', () => {
  test('text, objects, records, complex numbers and dates are passed over', async () => {
    expect(Object.keys(await readNpz(at('beside.npz')))).toEqual(['latents', 'labels']);
  });

  test.each([
    ['records', /records with named fields/],
    ['config', /Python objects, which are never unpickled/],
    ['filenames', /is text where numbers were expected/],
    ['spectrum', /complex numbers/],
  ])('%s is refused by name where it is asked for', async (name, message) => {
    const npz = await openNpz(at('beside.npz'));
    await expect(npz.read(name)).rejects.toThrow(message);
    await npz.close();
  });
});
