import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { digestOf } from '../../src/engine/kernel-sources.js';
import { maetok } from '../helpers/cli.js';
import { tempFolder } from '../helpers/temp.js';

const cache = join(tempFolder(), 'engines');
const former = process.env.MAETOK_ENGINE_DIR;
beforeAll(() => {
  process.env.MAETOK_ENGINE_DIR = cache;
});
afterAll(() => {
  if (former === undefined) delete process.env.MAETOK_ENGINE_DIR;
  else process.env.MAETOK_ENGINE_DIR = former;
});

function putEngine(): string {
  const folder = join(cache, '2.21.0-cpu');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'addon'), '12345');
  const manifest = {
    ...{ tensorflow: '2.21.0', build: 'cpu', platform: `${process.platform}-${process.arch}` },
    ...{
      kernels: digestOf('kernels'),
      products: { file: 'addon', sources: digestOf('products') },
      binding: 'addon',
      framework: 'addon',
      files: { addon: { bytes: 5, sha256: '' } },
    },
  };
  writeFileSync(join(folder, 'engine.json'), JSON.stringify(manifest));
  return folder;
}

describe('maetok engine', () => {
  const columns = 'build,tensorflow,platform,bytes,folder';

  test('list gives one row per installed engine', async () => {
    const row = `cpu,2.21.0,${process.platform}-${process.arch},5,${putEngine()}`;
    expect((await maetok('engine', 'list')).stdout).toBe(`${columns}\n${row}\n`);
  });

  test('remove takes it away', async () => {
    const folder = putEngine();
    expect((await maetok('engine', 'remove')).stderr).toBe(`removed ${folder}\n`);
    const { stdout, stderr } = await maetok('engine', 'list');
    expect(stdout).toBe(`${columns}\n`);
    expect(stderr).toMatch(/nothing is installed in .*`maetok engine install`/);
  });

  test('install does nothing where one is installed', async () => {
    const folder = putEngine();
    const { code, stderr } = await maetok('engine', 'install');
    expect(code).toBe(0);
    expect(stderr).toContain(`is already installed in ${folder}`);
  });

  test.each([
    [['engine'], 2, /engine needs a <action>/],
    [['engine', 'update'], 2, /unknown action 'update'; choose install, list, remove/],
    [['engine', 'install', '--from', 'missing.whl', '--force'], 1, /engine install failed at step '\w+': .*/],
  ])('%j exits with %d and one line', async (args, expected, message) => {
    const { code, stderr } = await maetok(...args);
    expect(code).toBe(expected);
    expect(stderr.trim().split('\n').at(-1)).toMatch(message);
  });
});

describe('maetok doctor', () => {
  test('measures one engine', async () => {
    const { code, stdout } = await maetok('doctor', '--engine', 'wasm');
    expect(code).toBe(0);
    const [columns, row] = stdout.split('\n').map(line => line.split(','));
    expect(columns).toContain('gflops_f32');
    expect(row.slice(0, 2)).toEqual(['wasm', 'ready']);
    expect(Number(row[columns.indexOf('gflops_f32')])).toBeGreaterThan(0);
  });

  test('an engine that is installed and does not start is broken, and says why', async () => {
    putEngine();
    const { code, stdout, stderr } = await maetok('doctor');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^native,broken,.*engine native can't start: /m);
    expect(stderr).toContain('`maetok engine install --force`');
    expect(stderr).toContain(`Node ${process.version} is supported`);
  }, 180_000);

  test('an engine that is not here: exit 1 and the way to it', async () => {
    const { code, stderr } = await maetok('doctor', '--engine', 'gpu');
    expect(code).toBe(1);
    expect(stderr).toContain('`maetok engine install --gpu`');
  });
});
