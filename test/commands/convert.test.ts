import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { openSafetensors, readSafetensors, writeNpz, writeSafetensors, type NdArray } from '../../src/io/index.js';
import { openLatents } from '../../src/latents/index.js';
import { maetok, maetokWith } from '../helpers/cli.js';
import { tempFolder } from '../helpers/temp.js';

const folder = tempFolder();
const at = (name: string): string => join(folder, name);
const CHECKPOINT = 'fixtures/golden/io/checkpoint.pt';
const f32 = (shape: number[], ...values: number[]): NdArray => ({
  shape,
  dtype: 'float32',
  data: Float32Array.from(values),
});

describe('maetok convert, weights', () => {
  test('a checkpoint’s averaged weights become safetensors, dtypes kept', async () => {
    const { code, stdout } = await maetok('convert', CHECKPOINT, '--out', at('ema.safetensors'));
    expect(code).toBe(0);
    expect(stdout).toBe(`input,out,key,tensors,parameters\n${CHECKPOINT},${at('ema.safetensors')},ema,16,85\n`);
    expect(await readSafetensors(at('ema.safetensors'))).toEqual(
      await readSafetensors('fixtures/golden/io/expected.safetensors'),
    );
    const file = await openSafetensors(at('ema.safetensors'));
    expect(file.metadata).toEqual({ format: 'pt', key: 'ema' });
    expect(file.tensors.get('bf16')).toMatchObject({ dtype: 'bfloat16' });
    await file.close();
  });

  test('float8 is written as the same numbers in float32, and skipped tensors are warned about', async () => {
    const file = 'fixtures/golden/io/checkpoints/float8.pt';
    const { code, stdout } = await maetok('convert', file, '--out', at('f8.safetensors'));
    expect([code, stdout.split('\n')[1]]).toEqual([0, `${file},${at('f8.safetensors')},,8,1286`]);
    const { float8_e5m2 } = await readSafetensors(at('f8.safetensors'));
    const expected = await readSafetensors('fixtures/golden/io/checkpoints/float8-as-float32.safetensors');
    expect(float8_e5m2).toEqual(expected.float8_e5m2);
    const kinds = ['convert', 'fixtures/golden/io/checkpoints/kinds.pt', '--out', at('kinds.safetensors')];
    expect((await maetok(...kinds)).stderr).toMatch(/warning: .*skipped complex64 \(complex64\), .*coo \(sparse\)/);
  });

  test('another record, in another precision; integers stay integers', async () => {
    await writeNpz(at('w.npz'), {
      'net.w': f32([2], 1, 2),
      'net.n': { shape: [1], dtype: 'int32', data: Int32Array.of(5) },
    });
    const { code } = await maetok('convert', at('w.npz'), '--key', 'net', '--dtype', 'f16');
    expect(code).toBe(0);
    const file = await openSafetensors(at('w.safetensors'));
    expect([...file.tensors].map(([name, { dtype }]) => [name, dtype])).toEqual([
      ['n', 'int32'],
      ['w', 'float16'],
    ]);
    await file.close();
  });

  test('what half precision cannot hold is refused by the tensor’s name, and nothing is written', async () => {
    await writeSafetensors(at('big.safetensors'), { 'head.bias': f32([1], 1e6) });
    const args = ['convert', at('big.safetensors'), '--out', at('half.safetensors'), '--dtype', 'f16'];
    const { code, stderr } = await maetok(...args);
    expect(code).toBe(2);
    expect(stderr).toMatch(/half\.safetensors: tensor head\.bias: 1000000 at 0 is too large for float16/);
    expect(await readdir(folder)).not.toContain('half.safetensors');
  });

  test('an existing file stays unless forced', async () => {
    await writeSafetensors(at('kept.safetensors'), { x: f32([1], 1) });
    const { code, stderr } = await maetok('convert', CHECKPOINT, '--out', at('kept.safetensors'));
    expect([code, stderr]).toEqual([1, expect.stringMatching(/kept\.safetensors: already exists/)]);
    expect((await maetok('convert', CHECKPOINT, '--out', at('kept.safetensors'), '--force')).code).toBe(0);
  });

  test('an unclear input is asked about', async () => {
    const { code, stderr } = await maetok('convert', folder);
    expect([code, stderr]).toEqual([2, expect.stringMatching(/--out FILE\.safetensors or --out FOLDER/)]);
  });
});

describe('maetok convert, latents', () => {
  const write = () =>
    writeNpz(
      at('latents.npz'),
      {
        latents: f32([3, 2, 1], 1, 2, 3, 4, 5, 6),
        latents_flip: f32([3, 2, 1], -1, -2, -3, -4, -5, -6),
        labels: { shape: [3], dtype: 'int64', data: BigInt64Array.of(1n, 0n, 1n) },
      },
      { force: true },
    );

  test('any dialect becomes a latents folder, flips and labels included', async () => {
    await write();
    const { code, stdout } = await maetok('convert', at('latents.npz'), '--out', at('folder'));
    expect([code, stdout]).toEqual([0, `input,out,images\n${at('latents.npz')},${at('folder')},3\n`]);
    const latents = await openLatents(at('folder'), { flips: true });
    expect([...(await latents.read([0, 1, 2, 5]))]).toEqual([1, 2, 3, 4, 5, 6, -5, -6]);
    expect([...latents.labels!]).toEqual([1, 0, 1, 1, 0, 1]);
    expect(latents.meta).toMatchObject({ converted: { from: at('latents.npz'), posterior: 'mode' } });
    await latents.close();
  });

  test('stopped and resumed it is the same', async () => {
    await write();
    const args = ['convert', at('latents.npz'), '--shard-rows', '2'];
    const stopped = new AbortController();
    stopped.abort();
    const first = await maetokWith({ signal: stopped.signal }, ...args, '--out', at('stopped'));
    expect([first.code, first.stderr]).toEqual([130, expect.stringMatching(/--resume continues/)]);
    await maetok(...args, '--out', at('stopped'), '--resume');
    await maetok(...args, '--out', at('whole'));
    for (const name of ['latents.json', 'latents_rank00_shard000.safetensors', 'latents_rank00_shard001.safetensors'])
      expect(await readFile(join(at('stopped'), name))).toEqual(await readFile(join(at('whole'), name)));
  });
});
