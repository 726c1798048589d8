import { spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { silentLog } from '../../src/base/index.js';
import { installEngine } from '../../src/engine/install/install.js';
import { recipeFor } from '../../src/engine/install/platform.js';
import { engineCache, installedEngines } from '../../src/engine/installed.js';
import { startEngine } from '../../src/engine/index.js';
import { standInTools, writeWheel } from '../helpers/stand-in-tools.js';
import { tempFolder } from '../helpers/temp.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const temp = tempFolder();

interface Started {
  /** What `startEngine` gave, twice, or the error's message. */
  result: string;
  warnings: string[];
  /** Whatever reached standard error past us. */
  stderr: string;
}

/** Starts the engine in a process of its own: a process keeps the first that it got. */
function start({ verbose = false, environment = {}, before = '', first = 'startEngine()' }: StartOptions): Started {
  const script = `
    import util from 'node:util';
    ${before}
    import { startEngine, startEngineFor } from '${ROOT}/src/engine/index.ts';
    import { configureEngine } from '${ROOT}/src/engine/options.ts';
    const warnings = [];
    configureEngine({ verbose: ${verbose}, warn: message => warnings.push(message) });
    const result = await ${first}.then(async first => [first, await startEngine()].join(), error => error.message);
    console.log(JSON.stringify({ result, warnings }));`;
  const args = ['--import', 'tsx', '--input-type=module', '-e', script];
  const env = { ...process.env, MAETOK_ENGINE: '', ...environment };
  const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: ROOT, env, encoding: 'utf8' });
  return { ...(JSON.parse(stdout) as Omit<Started, 'stderr'>), stderr };
}

interface StartOptions {
  verbose?: boolean;
  environment?: Record<string, string>;
  /** A statement that is run first. */
  before?: string;
  /** The first start, of two. */
  first?: string;
}

const emptyCache = (): string => mkdtempSync(join(temp, 'cache-'));

describe('the engine that is started', () => {
  test('is WebAssembly where nothing is installed, with one warning that says how to get the fast one', () => {
    const { result, warnings, stderr } = start({ environment: { MAETOK_ENGINE_DIR: emptyCache() } });
    expect(result).toBe('wasm,wasm');
    expect(warnings).toEqual([expect.stringMatching(/WebAssembly.*`maetok engine install`/)]);
    expect(stderr).toBe('');
  });

  test('is WebAssembly for few rows, without a warning, until there is more to do', () => {
    const environment = { MAETOK_ENGINE_DIR: emptyCache() };
    const few = start({ environment, first: 'startEngineFor([{ rows: 3000, width: 64 }])' });
    expect(few.result).toBe('wasm,wasm');
    expect(few.warnings).toHaveLength(1);
    const one = start({ environment: { MAETOK_ENGINE: 'js' }, first: 'startEngineFor([{ rows: 3000, width: 64 }])' });
    expect(one).toMatchObject({ result: 'js,js', warnings: [] });
  });

  test('is WebAssembly for few rows alone where a faster one is there', () => {
    if (installedEngines().length === 0) return;
    const few = start({ first: 'startEngineFor([{ rows: 3000, width: 64 }])' });
    expect(few).toMatchObject({ result: 'wasm,native', warnings: [] });
    const many = start({ first: 'startEngineFor([{ rows: 300_000, width: 64 }])' });
    expect(many).toMatchObject({ result: 'native,native', warnings: [] });
  });

  test('is what MAETOK_ENGINE says, without a warning', () => {
    const { result, warnings } = start({ environment: { MAETOK_ENGINE: 'js', MAETOK_ENGINE_DIR: emptyCache() } });
    expect([result, warnings]).toEqual(['js,js', []]);
  });

  test('is WebAssembly where the installed one does not load, and the warning says why', async () => {
    const cache = emptyCache();
    const [framework, cc] = recipeFor('cpu').libraries;
    const wheel = join(temp, 'broken.whl');
    const files = { [framework]: 'no library', [cc]: 'no library', 'tensorflow/include/tensorflow/c/c_api.h': '' };
    await writeWheel(wheel, { name: 'tensorflow', version: '2.21.0', files });
    await installEngine({ gpu: false, from: wheel, log: silentLog, cache, tools: standInTools({}) });
    const { result, warnings } = start({ environment: { MAETOK_ENGINE_DIR: cache } });
    expect(result).toBe('wasm,wasm');
    expect(warnings).toEqual([expect.stringMatching(/does not start \(.+\).*`maetok engine install --force`/)]);
  });

  test.each([
    ['gpu', /^engine gpu can't start: no GPU build is installed \(`maetok engine install --gpu`\)$/],
    ['native', /^engine native can't start: no native engine is installed \(`maetok engine install`\)$/],
    ['fast', /^--engine: no engine is called 'fast'; choose gpu, native, stock, wasm, js$/],
  ])('%s is refused in one line where it cannot be had', async (choice, message) => {
    const former = process.env.MAETOK_ENGINE_DIR;
    process.env.MAETOK_ENGINE_DIR = emptyCache();
    try {
      await expect(startEngine(choice)).rejects.toThrow(message);
    } finally {
      if (former === undefined) delete process.env.MAETOK_ENGINE_DIR;
      else process.env.MAETOK_ENGINE_DIR = former;
    }
  });

  const native = installedEngines().some(({ build }) => build === 'cpu') ? test : test.skip;

  native('is TensorFlow where it is installed, and it does not say a word', () => {
    const environment = { MAETOK_ENGINE_DIR: engineCache() };
    expect(start({ environment })).toEqual({ result: 'native,native', warnings: [], stderr: '' });
  });

  native('is WebAssembly where the installed one loads but does not compute, and the warning says why', () => {
    const before = `util.isNullOrUndefined = () => { throw new Error('gone from Node'); };`;
    const { result, warnings } = start({ environment: { MAETOK_ENGINE_DIR: engineCache() }, before });
    expect(result).toBe('wasm,wasm');
    expect(warnings).toEqual([expect.stringMatching(/does not start \(gone from Node\)/)]);
  });

  native('lets TensorFlow talk when asked to', () => {
    const environment = { MAETOK_ENGINE_DIR: engineCache() };
    expect(start({ verbose: true, environment }).stderr).toMatch(/oneDNN|cpu_feature_guard/);
  });
});

describe('installed engines', () => {
  test('a folder without a readable manifest, or made for another machine, is none', () => {
    const cache = emptyCache();
    expect(installedEngines(cache)).toEqual([]);
    expect(installedEngines(join(cache, 'missing'))).toEqual([]);
    writeFileSync(join(cache, '2.21.0-cpu'), 'a file, not a folder');
    expect(installedEngines(cache)).toEqual([]);
  });
});
