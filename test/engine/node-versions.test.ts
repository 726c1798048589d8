import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inherits } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import { installedEngines } from '../../src/engine/installed.js';
import { digestOf } from '../../src/engine/kernel-sources.js';
import { restoreRemovedFunctions } from '../../src/engine/removed-functions.js';
import { undefinedSymbols } from '../helpers/elf.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The Nodes named by `MAETOK_NODES`, paths of programs as in PATH, and this one. */
const NODES = [process.execPath, ...(process.env.MAETOK_NODES ?? '').split(delimiter).filter(Boolean)];

const native = installedEngines().find(({ build }) => build === 'cpu');

/** Whether our kernels are in it, and this processor has the vector units that they need. */
const KERNELS =
  native?.kernels === digestOf('kernels') &&
  (process.arch !== 'x64' || /\bavx2\b/.test(readFileSync('/proc/cpuinfo', 'utf8')));

describe('the functions of node:util that Node removed and tfjs-node calls', () => {
  interface Util {
    isNullOrUndefined(value: unknown): boolean;
    isArray(value: unknown): boolean;
  }

  test('are put back where they are missing, and mean what they meant', () => {
    const util = { inherits } as unknown as Util;
    restoreRemovedFunctions(util);
    expect([undefined, null, 0, '', [], {}].map(value => util.isNullOrUndefined(value))).toEqual([
      true,
      true,
      false,
      false,
      false,
      false,
    ]);
    expect([[], [1], new Float32Array(1), { length: 0 }, undefined].map(value => util.isArray(value))).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
  });

  test('are the only ones put back, and nothing that lists the module sees them', () => {
    const util = { inherits };
    restoreRemovedFunctions(util);
    expect(Object.keys(util)).toEqual(['inherits']);
    expect(Object.getOwnPropertyNames(util).sort()).toEqual(['inherits', 'isArray', 'isNullOrUndefined']);
  });

  test('stay as they are where they exist', () => {
    const isArray = (): boolean => true;
    const isNullOrUndefined = (): boolean => false;
    const util = { isArray, isNullOrUndefined };
    restoreRemovedFunctions(util);
    expect(util.isArray).toBe(isArray);
    expect(util.isNullOrUndefined).toBe(isNullOrUndefined);
  });
});

(native && process.platform === 'linux' ? describe : describe.skip)('the installed addon', () => {
  test('asks nothing of Node but Node-API, whose functions every later Node keeps', () => {
    const symbols = undefinedSymbols(join(native!.folder, native!.binding));
    expect(symbols.filter(name => name.startsWith('napi_')).length).toBeGreaterThan(20);
    const ofNode = /^_ZNK?(2v8|4node|8v8_inspector)|^(uv|node)_|^v8/;
    expect(symbols.filter(name => ofNode.test(name))).toEqual([]);
  });
});

/** Products, a concatenation, the largest entries: what asks tfjs-node for the type of one tensor and of several. */
const SCRIPT = `
  import { hasKernels, startEngine, tf } from '${ROOT}/src/engine/index.ts';
  const engine = await startEngine('native');
  const x = tf.tensor2d([[1, 2], [3, 4]]);
  const numbers = [x.matMul(x), tf.concat([x, x]).sum(), tf.topk(x, 1).values].map(y => [...y.dataSync()]);
  console.log(JSON.stringify({ engine, numbers, kernels: hasKernels() }));`;

(native ? describe : describe.skip)('one installed native engine', () => {
  test.each(NODES)('computes under %s and prints nothing but the numbers', node => {
    const { stdout, stderr } = spawnSync(node, ['--import', 'tsx', '--input-type=module', '-e', SCRIPT], {
      cwd: ROOT,
      encoding: 'utf8',
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    expect({ stdout, stderr }).toEqual({
      stdout: `{"engine":"native","numbers":[[7,10,15,22],[20],[2,4]],"kernels":${KERNELS}}\n`,
      stderr: '',
    });
  });

  const others = NODES.length > 1 ? test : test.skip;
  others('was tried under more than one version (MAETOK_NODES names further ones)', () => {
    const versions = NODES.map(node => spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout);
    expect(new Set(versions).size).toBeGreaterThan(1);
  });
});
