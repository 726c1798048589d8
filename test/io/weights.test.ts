import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import {
  openWeightArrays,
  openWeights,
  readSafetensors,
  readWeights,
  writeNpz,
  writeSafetensors,
} from '../../src/io/index.js';
import type { NdArray } from '../../src/io/index.js';
import { describeWithShared, SHARED } from '../helpers/shared.js';
import { tempFolder } from '../helpers/temp.js';
import { writeZip } from '../helpers/zip.js';

const GOLDEN = 'fixtures/golden/io';
const folder = tempFolder();
const at = (name: string): string => join(folder, name);
const one = (value: number): NdArray => ({ shape: [1], dtype: 'float32', data: Float32Array.of(value) });

describe('a PyTorch checkpoint', () => {
  test('gives every kind of tensor as the safetensors library stores it', async () => {
    const read = await readWeights(`${GOLDEN}/checkpoint.pt`);
    expect(read).toEqual(await readSafetensors(`${GOLDEN}/expected.safetensors`));
  });

  test('its averaged weights are the default, and it says so', async () => {
    const file = await openWeights(`${GOLDEN}/checkpoint.pt`);
    expect(file.metadata).toEqual({ key: 'ema' });
    await file.close();
  });

  test('its names lose their `module.`', async () => {
    const file = await openWeights(`${GOLDEN}/checkpoint.pt`);
    expect(file.tensors.get('bf16')).toMatchObject({ dtype: 'bfloat16', shape: [2] });
    await file.close();
  });

  test('other records are chosen by key, however deep', async () => {
    expect(await readWeights(`${GOLDEN}/checkpoint.pt`, { key: 'model' })).toEqual({
      w: { shape: [2], dtype: 'float32', data: new Float32Array(2) },
    });
    const optimizer = await readWeights(`${GOLDEN}/checkpoint.pt`, { key: 'opt' });
    expect(Object.keys(optimizer)).toEqual(['state.0.exp_avg']);
    await expect(readWeights(`${GOLDEN}/checkpoint.pt`, { key: 'disc' })).rejects.toThrow(
      /checkpoint\.pt: holds no tensors under disc; it has epoch, best, args, model, ema, opt/,
    );
  });

  test('in the older form reads as well', async () => {
    const { a, t, h, 'n.b': b } = await readWeights(`${GOLDEN}/legacy.pt`);
    expect(a.data).toEqual(Float32Array.from({ length: 24 }, (_, i) => i));
    expect([t.shape, t.data[1]]).toEqual([[6, 4], 6]);
    expect(h.data).toEqual(Float32Array.of(1.5));
    expect(b.data).toEqual(BigInt64Array.of(1n, 2n));
  });

  test('cut short is refused', async () => {
    const whole = await readFile(`${GOLDEN}/checkpoint.pt`);
    await writeFile(at('half.pt'), whole.subarray(0, whole.length / 2));
    await expect(readWeights(at('half.pt'))).rejects.toThrow(/half\.pt: is damaged or not a zip archive/);
    const legacy = await readFile(`${GOLDEN}/legacy.pt`);
    await writeFile(at('half-legacy.pt'), legacy.subarray(0, legacy.length - 20));
    await expect(readWeights(at('half-legacy.pt'))).rejects.toThrow(/half-legacy\.pt: is truncated/);
  });
});

const CHECKPOINTS = `${GOLDEN}/checkpoints`;

describe('checkpoints as trainers save them give the weights that are in them', () => {
  test.each([
    ['averaged.pt', undefined],
    ['averaged-beside.pt', 'model_ema'],
    ['generator-state.pt', 'model'],
    ['scheduler.pt', 'model'],
    ['compiled-inside.pt', undefined],
    ['lightning.ckpt', 'state_dict'],
  ])('%s', async (name, key) => {
    const file = await openWeights(`${CHECKPOINTS}/${name}`);
    await file.close();
    expect(file.metadata.key).toBe(key);
    expect(await readWeights(`${CHECKPOINTS}/${name}`)).toEqual(
      await readSafetensors(`${CHECKPOINTS}/weights.safetensors`),
    );
  });
});

describe('everything that torch.load(weights_only=True) allows', () => {
  const UNREAD = {
    complex64: 'complex64',
    complex128: 'complex128',
    conjugate: 'complex64',
    coo: 'sparse',
    csr: 'sparse',
    bsc: 'sparse',
    per_tensor: 'quantized',
    per_channel: 'quantized',
    meta: 'on the meta device, without numbers',
  };

  test.each(['kinds.pt', 'kinds-legacy.pt'])('is read or passed over by name: %s', async name => {
    const file = await openWeights(`${CHECKPOINTS}/${name}`);
    await file.close();
    expect(Object.fromEntries(file.unread!)).toEqual(UNREAD);
    // The negative bit among them: PyTorch stores the numbers and turns their signs as it reads.
    expect(await readWeights(`${CHECKPOINTS}/${name}`)).toEqual(
      await readSafetensors(`${CHECKPOINTS}/kinds.safetensors`),
    );
  });

  test('float8 of every kind is float32 exactly, all 256 codes, from both formats', async () => {
    const expected = await readSafetensors(`${CHECKPOINTS}/float8-as-float32.safetensors`);
    const { uint16, uint32, uint64, ...float8 } = await readWeights(`${CHECKPOINTS}/float8.pt`);
    expect(float8).toEqual(expected);
    expect(await readWeights(`${CHECKPOINTS}/float8.safetensors`)).toEqual(expected);
    expect([uint16.data[1], uint32.data[1], uint64.data[1]]).toEqual([2 ** 16 - 1, 2 ** 32 - 1, 2n ** 64n - 1n]);
  });

  test('a safetensors file’s complex numbers are passed over by name', async () => {
    const header = {
      c: { dtype: 'C64', shape: [1], data_offsets: [0, 8] },
      w: { dtype: 'F32', shape: [1], data_offsets: [8, 12] },
    };
    const json = Buffer.from(JSON.stringify(header));
    const start = Buffer.alloc(8);
    start.writeBigUInt64LE(BigInt(json.length));
    await writeFile(at('complex.safetensors'), Buffer.concat([start, json, Buffer.alloc(12)]));
    const file = await openWeights(at('complex.safetensors'));
    await file.close();
    expect([[...file.tensors.keys()], [...file.unread!]]).toEqual([['w'], [['c', 'C64']]]);
  });
});

describe('a pickle that wants more than tensors is refused by name, and nothing is run', () => {
  const pickle = (...parts: (number[] | string)[]): Buffer =>
    Buffer.concat([Buffer.from([0x80, 2]), ...parts.map(part => Buffer.from(part as string, 'latin1'))]);
  const cases: [why: string, pickle: Buffer, message: RegExp][] = [
    [
      'a shell command',
      pickle('cposix\nsystem\nX\x04\0\0\0true\x85R.'),
      /refers to posix\.system.*nothing was executed/,
    ],
    ['a builtin', pickle('c__builtin__\neval\nX\x01\0\0\x001\x85R.'), /refers to __builtin__\.eval/],
    ['a name put together', pickle('\x8c\x02os\x8c\x06system\x93.'), /refers to os\.system/],
    ['an old-style instance', pickle('(ios\nsystem\n.'), /pickle operation 0x69/],
    ['a listed name called as a function', pickle('ctorch\nFloatStorage\n)R.'), /a call of torch\.FloatStorage/],
    [
      'attributes for a function',
      pickle('ctorch._utils\n_rebuild_tensor_v2\n}b.'),
      /state for something that has none/,
    ],
    ['a tensor from nothing', pickle('ctorch._utils\n_rebuild_tensor_v2\n)R.'), /a tensor without a storage/],
    ['a negative length', pickle('T\xff\xff\xff\xff.'), /a length of -1/],
    ['no end', pickle('}'), /damaged or crafted/],
  ];
  test.each(cases)('%s', async (why, bytes, message) => {
    const path = await writeZip(at(`${why}.pt`), { 'archive/data.pkl': bytes });
    await expect(readWeights(path)).rejects.toThrow(message);
    await expect(readWeights(path)).rejects.toMatchObject({ name: 'UserError' });
  });

  test('a TorchScript program is recognised', async () => {
    const path = await writeZip(at('script.pt'), { 'a/data.pkl': pickle('}.'), 'a/constants.pkl': '' });
    await expect(readWeights(path)).rejects.toThrow(/TorchScript program.*state_dict/);
  });

  test('a tensor may not reach beyond its storage', async () => {
    const storage = '(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04tQ';
    const tensor = `ctorch._utils\n_rebuild_tensor_v2\n(${storage}K\x02K\x03\x85K\x01\x85\x89}tR`;
    const path = await writeZip(at('beyond.pt'), {
      'a/data.pkl': pickle(`}X\x01\0\0\0w${tensor}s.`),
      'a/data/0': Buffer.alloc(16),
    });
    await expect(readWeights(path)).rejects.toThrow(/beyond\.pt: tensor w: \[3\] reaches beyond its storage of 4/);
  });
});

describe('weights of other formats', () => {
  test('are recognised by their content, whatever their name', async () => {
    await writeSafetensors(at('a.weights'), { w: one(1) });
    await writeNpz(at('b.weights'), { w: one(2) });
    expect((await readWeights(at('a.weights'))).w).toEqual(one(1));
    expect((await readWeights(at('b.weights'))).w).toEqual(one(2));
  });

  test('lose what wrappers put before every name, and only that', async () => {
    await writeSafetensors(at('wrapped.safetensors'), { 'module._orig_mod.a': one(1), 'module._orig_mod.b': one(2) });
    expect(Object.keys(await readWeights(at('wrapped.safetensors')))).toEqual(['a', 'b']);
    await writeSafetensors(at('own.safetensors'), { 'module.a': one(1), b: one(2) });
    expect(Object.keys(await readWeights(at('own.safetensors')))).toEqual(['b', 'module.a']);
  });

  test('shards whose own names look wrapped keep the names of their index', async () => {
    await writeSafetensors(at('s-1.safetensors'), { 'module.a': one(1) });
    await writeSafetensors(at('s-2.safetensors'), { 'head.b': one(2) });
    const map = { 'module.a': 's-1.safetensors', 'head.b': 's-2.safetensors' };
    await writeFile(at('s.safetensors.index.json'), JSON.stringify({ weight_map: map }));
    expect(await readWeights(at('s.safetensors.index.json'))).toEqual({ 'module.a': one(1), 'head.b': one(2) });
  });

  test('a key takes the names under it', async () => {
    await writeSafetensors(at('both.safetensors'), { 'ema.w': one(1), 'model.w': one(2) });
    expect(await readWeights(at('both.safetensors'), { key: 'model' })).toEqual({ w: one(2) });
  });

  test('shards and folders', async () => {
    await writeSafetensors(at('m-1.safetensors'), { a: one(1) });
    await writeSafetensors(at('m-2.safetensors'), { b: one(2) });
    const index = { weight_map: { a: 'm-1.safetensors', b: 'm-2.safetensors' } };
    await writeFile(at('model.safetensors.index.json'), JSON.stringify(index));
    expect(await readWeights(folder)).toEqual({ a: one(1), b: one(2) });
    await mkdir(at('empty'));
    await expect(readWeights(at('empty'))).rejects.toThrow(/folder without model\.safetensors/);
  });
});

/** Millions of numbers are compared as bytes: a matcher that walks them one by one takes seconds. */
const asBytes = (arrays: Record<string, NdArray>): [string, number[], string, Buffer][] =>
  Object.keys(arrays)
    .sort()
    .map(name => {
      const { shape, dtype, data } = arrays[name];
      return [name, shape, dtype, Buffer.from(data.buffer, data.byteOffset, data.byteLength)];
    });

function expectSame(a: Record<string, NdArray>, b: Record<string, NdArray>): void {
  const [left, right] = [asBytes(a), asBytes(b)];
  expect(left.map(([name, shape, dtype]) => [name, shape, dtype])).toEqual(
    right.map(([name, shape, dtype]) => [name, shape, dtype]),
  );
  expect(left.filter(([, , , bytes], i) => !bytes.equals(right[i][3]))).toEqual([]);
}

describeWithShared('weights/taesd', 'published weights', () => {
  test.each(['taef2_encoder', 'taef2_decoder', 'taesana_encoder'])('%s.pth equals its safetensors twin', async name => {
    const path = `${SHARED}/weights/taesd/${name}`;
    expectSame(await readWeights(`${path}.pth`), await readSafetensors(`${path}.safetensors`));
  });
});

describeWithShared('golden/lightningdit/published-xl-switches', 'a LightningDiT checkpoint', () => {
  test('its ema equals the safetensors twin', async () => {
    const path = `${SHARED}/golden/lightningdit/published-xl-switches`;
    expectSame(await readWeights(`${path}/checkpoint.pt`), await readSafetensors(`${path}/weights.safetensors`));
  });
});

describe('arrays of weights that are read when they are looked at', () => {
  test.each(['checkpoint.pt', 'expected.safetensors'])('hold what the file holds: %s', async name => {
    const { arrays, close } = await openWeightArrays(`${GOLDEN}/${name}`);
    expect({ ...arrays }).toEqual(await readWeights(`${GOLDEN}/${name}`));
    await close();
  });

  test('are not in memory before: what has been written since is found', async () => {
    await writeSafetensors(at('seen.safetensors'), { 'module.a': one(1), 'module.b': one(2) });
    const { arrays, close } = await openWeightArrays(at('seen.safetensors'));
    const bytes = await readFile(at('seen.safetensors'));
    bytes.writeFloatLE(5, bytes.length - 4);
    await writeFile(at('seen.safetensors'), bytes);
    expect([arrays.a.data[0], arrays.b.data[0]]).toEqual([1, 5]);
    await close();
  });
});
