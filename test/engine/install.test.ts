import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { silentLog, type UserError } from '../../src/base/index.js';
import { installEngine, planInstall, type InstallOptions } from '../../src/engine/install/install.js';
import { recipeFor } from '../../src/engine/install/platform.js';
import { removeEngine } from '../../src/engine/install/remove.js';
import { installedEngines } from '../../src/engine/installed.js';
import { absent, failed, LIBRARY, standInTools, writeWheel } from '../helpers/stand-in-tools.js';
import { tempFolder } from '../helpers/temp.js';

const temp = tempFolder();
const [framework, cc] = recipeFor('cpu').libraries;
const NAME = recipeFor('cpu').distribution;
const CUDA = 'nvidia-cublas-cu12';
let wheel: string;
let wheels: Record<string, string>;

beforeAll(async () => {
  const files = {
    [framework]: `the framework ${LIBRARY} and more`,
    [cc]: 'the kernels',
    'tensorflow/include/tensorflow/c/c_api.h': '// header',
    'tensorflow/python/big.py': '# not needed',
  };
  const requires = ['numpy>=1.26', `${CUDA}<13.0,>=12.5.3.2; extra == "and-cuda"`];
  wheel = await writeWheel(join(temp, 'tensorflow_cpu-2.21.0-cp311.whl'), {
    name: 'tensorflow_cpu',
    version: '2.21.0',
    files,
    requires,
  });
  const cuda = await writeWheel(join(temp, 'cuda.whl'), {
    name: CUDA,
    version: '12.9.0',
    files: {
      'nvidia/cublas/lib/libcublas.so.12': 'gemm',
      'nvidia/cublas/include/cublas.h': '//',
      'nvidia/bin/ptxas': '',
    },
  });
  wheels = { [NAME]: wheel, tensorflow: wheel, [CUDA]: cuda };
});

const newCache = (): string => mkdtempSync(join(temp, 'cache-'));

function options(cache: string, changes: Partial<InstallOptions> = {}): InstallOptions {
  return { gpu: false, log: silentLog, cache, tools: standInTools(wheels), ...changes };
}

async function failure(work: Promise<unknown>): Promise<UserError> {
  return await work.then(
    () => Promise.reject(new Error('it did not fail')),
    (error: unknown) => error as UserError,
  );
}

describe('engine install', () => {
  test('keeps the libraries and the compiled addon, writes the manifest last, leaves nothing else', async () => {
    const cache = newCache();
    const engine = await installEngine(options(cache));
    expect(readdirSync(cache)).toEqual(['2.21.0-cpu']);
    expect(readdirSync(engine.folder).sort()).toEqual(['engine.json', 'products.node', 'tensorflow']);
    expect(readdirSync(join(engine.folder, 'tensorflow')).sort()).toEqual(
      ['tfjs_binding.node', ...[framework, cc].map(path => path.replace('tensorflow/', ''))].sort(),
    );
    expect(engine.logLevelSymbol).toBe(LIBRARY);
    expect(installedEngines(cache)).toEqual([engine]);
  });

  test('asks pip for the wheel of this machine and compiles against its libraries', async () => {
    const tools = standInTools(wheels);
    const cache = newCache();
    await installEngine(options(cache, { tools }));
    const download = tools.calls.find(call => call.includes('download'))!;
    expect(download).toEqual(expect.arrayContaining(['--no-deps', '--only-binary=:all:', '3.11', `${NAME}==2.21.0`]));
    const compile = tools.calls.find(call => call.includes('-DNAPI_VERSION=8'))!;
    expect(compile.join(' ')).toMatch(
      /tfjs_backend\.cc .*tfjs_binding\.cc .*libtensorflow_framework.*libtensorflow_cc/,
    );
  });

  const installAgain = async (force: boolean) => {
    const [cache, tools] = [newCache(), standInTools(wheels)];
    await installEngine(options(cache));
    await installEngine(options(cache, { tools, force }));
    return { cache, tools };
  };

  test('a second installation does nothing', async () => {
    const { tools } = await installAgain(false);
    expect(tools.calls).toEqual([]);
  });

  test('--force reinstalls', async () => {
    const { cache, tools } = await installAgain(true);
    expect(tools.calls.length).toBeGreaterThan(0);
    expect(installedEngines(cache)).toHaveLength(1);
  });

  test('--from takes a wheel on disk and asks no package index', async () => {
    const tools = standInTools({}, { pip: absent });
    const { tensorflow } = await installEngine(options(newCache(), { tools, from: wheel }));
    expect(tensorflow).toBe('2.21.0');
  });

  test('the GPU build has the CUDA libraries next to TensorFlow, without their headers', async () => {
    const { folder, files } = await installEngine(options(newCache(), { gpu: true }));
    expect(existsSync(join(folder, 'nvidia/cublas/lib/libcublas.so.12'))).toBe(true);
    expect(existsSync(join(folder, 'nvidia/cublas/include'))).toBe(false);
    expect(statSync(join(folder, 'nvidia/bin/ptxas')).mode & 0o111).toBe(0o111);
    expect(Object.keys(files)).toContain('nvidia/cublas/lib/libcublas.so.12');
  });

  test('two installations at once: one works, the other waits and finds it done', async () => {
    const cache = newCache();
    const tools = standInTools(wheels);
    const engines = await Promise.all([
      installEngine(options(cache, { tools })),
      installEngine(options(cache, { tools })),
    ]);
    expect(engines[1].folder).toBe(engines[0].folder);
    expect(tools.calls.filter(call => call.includes('download'))).toHaveLength(1);
  });

  test('what a killed installation left is cleared away: its lock and its folder', async () => {
    const cache = newCache();
    writeFileSync(join(cache, '2.21.0-cpu.lock'), '999999999');
    mkdirSync(join(cache, '.2.21.0-cpu-half'));
    await installEngine(options(cache));
    expect(readdirSync(cache)).toEqual(['2.21.0-cpu']);
  });

  test('an engine whose library was truncated is not used, and is reinstalled', async () => {
    const cache = newCache();
    const { folder } = await installEngine(options(cache));
    truncateSync(join(folder, cc), 3);
    expect(installedEngines(cache)).toEqual([]);
    await installEngine(options(cache));
    expect(installedEngines(cache)).toHaveLength(1);
  });

  test('engine remove takes the whole folder away, the other build stays', async () => {
    const cache = newCache();
    await installEngine(options(cache));
    await installEngine(options(cache, { gpu: true }));
    await removeEngine('cpu', { log: silentLog, cache });
    expect(readdirSync(cache)).toEqual(['2.21.0-gpu']);
  });
});

describe('a failing installation names its step and leaves nothing', () => {
  const write = (name: string, files: Record<string, string>, damaged: string[] = []): Promise<string> =>
    writeWheel(join(temp, name), { name: 'tensorflow', version: '2.21.0', files, damaged });

  const cases: [string, () => Promise<Partial<InstallOptions>> | Partial<InstallOptions>, RegExp][] = [
    [
      'no compiler',
      () => ({ tools: standInTools(wheels, { compiler: absent }) }),
      /'compiler': none of .*g\+\+.*apt install/,
    ],
    [
      'a full disk',
      () => ({ tools: { ...standInTools(wheels), freeBytes: () => Promise.resolve(1e8) } }),
      /'disk space': .*0\.1 GB free, 1\.3 GB needed/,
    ],
    [
      'a failing download',
      () => ({ tools: standInTools(wheels, { download: () => failed('hm\nERROR: No matching distribution\nbye') }) }),
      /'download': ERROR: No matching distribution/,
    ],
    ['no pip and no network', () => ({ tools: standInTools(wheels, { pip: absent }) }), /'download': no network/],
    ['a missing wheel', () => ({ from: join(temp, 'missing.whl') }), /'wheel': .*missing\.whl/],
    [
      'a cut wheel',
      () => {
        const path = join(temp, 'cut.whl');
        writeFileSync(path, readFileSync(wheel).subarray(0, 300));
        return { from: path };
      },
      /'wheel': .*cut\.whl/,
    ],
    [
      'a wheel of something else',
      () => ({ from: wheels[CUDA] }),
      /'wheel': .*of nvidia-cublas-cu12, not of tensorflow/,
    ],
    [
      'a file that differs from RECORD',
      async () => ({ from: await write('damaged.whl', { [framework]: 'x', [cc]: 'y' }, [cc]) }),
      /'unpack': .*does not match its digest/,
    ],
    [
      'a wheel without the libraries',
      async () => ({ from: await write('other-os.whl', { [framework]: 'x', 'tensorflow/cc.dll': 'y' }) }),
      /'unpack': .*has no tensorflow\/libtensorflow_cc/,
    ],
    [
      'a compile error',
      () => ({
        tools: standInTools(wheels, { compile: () => failed('a.cc:1: error: no such type\n1 error generated') }),
      }),
      /'compile': g\+\+: .*error/,
    ],
    [
      'a library that kills the process',
      () => ({
        tools: standInTools(wheels, { smoke: () => ({ code: undefined, stdout: '', stderr: 'ended by SIGILL' }) }),
      }),
      /'smoke test': ended by SIGILL/,
    ],
    [
      'a library that computes wrongly',
      () => ({
        tools: standInTools(wheels, {
          smoke: () => ({ code: 0, stdout: '{"version":"2.21.0","gpu":false,"product":[0,0,0,0]}', stderr: '' }),
        }),
      }),
      /'smoke test': a product of two matrices came out as 0,0,0,0/,
    ],
  ];

  test.each(cases)('%s', async (_, changes, message) => {
    const cache = newCache();
    const error = await failure(installEngine(options(cache, await changes())));
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain('\n');
    expect(error.exitCode).toBe(1);
    expect(readdirSync(cache)).toEqual([]);
  });

  test('with --force, the former engine stays intact', async () => {
    const cache = newCache();
    const former = await installEngine(options(cache));
    const tools = standInTools(wheels, { smoke: () => failed('undefined symbol') });
    await failure(installEngine(options(cache, { tools, force: true })));
    expect(installedEngines(cache)).toEqual([former]);
    expect(readdirSync(cache)).toEqual(['2.21.0-cpu']);
  });

  test('an interruption says so, with its own exit code', async () => {
    const cache = newCache();
    const abort = new AbortController();
    const compile = (): never => {
      abort.abort();
      throw new Error('killed');
    };
    const tools = standInTools(wheels, { compile });
    const error = await failure(installEngine(options(cache, { tools, signal: abort.signal })));
    expect(error.message).toBe('interrupted; nothing was installed');
    expect(error.exitCode).toBe(130);
    expect(readdirSync(cache)).toEqual([]);
  });
});

describe('what would be fetched', () => {
  const report = (...packages: [name: string, version: string, requires?: string[]][]): string =>
    JSON.stringify({
      install: packages.map(([name, version, requires_dist]) => ({
        metadata: { name, version, requires_dist },
        download_info: {
          url: `https://wheels.example/${name}-${version}-py3-none-any.whl`,
          archive_info: { hash: 'sha256=abc' },
        },
      })),
    });

  test('the GPU plan has TensorFlow and what its CUDA extra names, in its ranges; nothing is written', async () => {
    const cache = newCache();
    const tools = standInTools(wheels, {
      report: args => ({
        code: 0,
        stderr: '',
        stdout: args.some(arg => arg.startsWith('tensorflow'))
          ? report(['tensorflow', '2.21.0', ['numpy', `${CUDA}<13.0,>=12.5.3.2; extra == "and-cuda"`]])
          : report([CUDA, '12.9.0']),
      }),
    });
    const plan = await planInstall(options(cache, { gpu: true, tools }));
    expect(plan.map(({ name, version, sha256 }) => [name, version, sha256])).toEqual([
      ['tensorflow', '2.21.0', 'abc'],
      [CUDA, '12.9.0', 'abc'],
    ]);
    expect(tools.calls.at(-1)).toContain(`${CUDA}<13.0,>=12.5.3.2`);
    expect(readdirSync(cache)).toEqual([]);
  });
});
