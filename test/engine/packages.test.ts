import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { silentLog } from '../../src/base/index.js';
import { indexPackages } from '../../src/engine/install/package-index.js';
import { recipeFor } from '../../src/engine/install/platform.js';
import { requirementsOf, satisfies } from '../../src/engine/install/requirements.js';
import type { Tools } from '../../src/engine/install/tools.js';
import { compareVersions } from '../../src/engine/installed.js';
import { tempFolder } from '../helpers/temp.js';

const temp = tempFolder();
const linux = recipeFor('gpu', { platform: 'linux', arch: 'x64', musl: false });

describe('wheels by the package index, without pip', () => {
  const content = Buffer.from('a wheel');
  const sha256 = createHash('sha256').update(content).digest('hex');
  const file = (filename: string, changes: object = {}): object => ({
    filename,
    url: `https://files.example/${filename}`,
    size: content.length,
    digests: { sha256 },
    ...changes,
  });
  const releases = {
    '12.9.0': [file('cuda-12.9.0-py3-none-manylinux_2_27_aarch64.whl'), file('cuda-12.9.0-py3-none-win_amd64.whl')],
    '12.8.1': [file('cuda-12.8.1-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl')],
    '12.8.2': [file('cuda-12.8.2-py3-none-manylinux2014_x86_64.whl', { yanked: true })],
    '12.10.0rc1': [file('cuda-12.10.0rc1-py3-none-manylinux2014_x86_64.whl')],
    '13.0.0': [file('cuda-13.0.0-py3-none-manylinux_2_27_x86_64.whl')],
  };

  function tools(body: Uint8Array<ArrayBuffer> = content): Pick<Tools, 'fetch'> {
    return {
      fetch: url =>
        Promise.resolve(
          url.endsWith('.whl')
            ? new Response(body)
            : Response.json({ info: { name: 'cuda', version: '12.8.1', requires_dist: null }, releases, urls: [] }),
        ),
    };
  }
  const packages = (body?: Uint8Array<ArrayBuffer>) => indexPackages(linux, tools(body) as Tools, silentLog);

  test('the newest release in range that has a wheel for this machine', async () => {
    const [found] = await packages().resolve([{ name: 'cuda', range: '<13.0,>=12.5' }]);
    expect(found.file).toBe('cuda-12.8.1-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl');
    expect(found.bytes).toBe(content.length);
  });

  test('none in range is an error that names both', async () => {
    await expect(packages().resolve([{ name: 'cuda', range: '>=14' }])).rejects.toThrow('cuda>=14');
  });

  test('a download is kept when its SHA-256 is the index’s', async () => {
    const [path] = await packages().download([{ name: 'cuda', range: '' }], temp);
    expect(readFileSync(path)).toEqual(content);
    const cut = packages(content.subarray(1));
    await expect(cut.download([{ name: 'cuda', range: '' }], temp)).rejects.toThrow('SHA-256');
  });
});

describe('requirements', () => {
  test('an extra’s lines are found, with and without parentheses', () => {
    const lines = [
      'numpy>=1.26',
      'a-cu12 (<13.0,>=12.5) ; extra == "and-cuda"',
      "b-cu12; extra == 'and-cuda'",
      'c; extra == "dev"',
    ];
    expect(requirementsOf('and-cuda', lines)).toEqual([
      { name: 'a-cu12', range: '<13.0,>=12.5' },
      { name: 'b-cu12', range: '' },
    ]);
  });

  test.each([
    ['12.9.1', '<13.0,>=12.5.3.2', true],
    ['12.5.3', '<13.0,>=12.5.3.2', false],
    ['13.0', '<13.0', false],
    ['2.21.0', '==2.21.0', true],
    ['2.21.0rc1', '>=2.0', false],
    ['9.3', '!=9.3', false],
    ['1.0', '', true],
  ])('%s in %s: %s', (version, range, expected) => {
    expect(satisfies(version, range)).toBe(expected);
  });

  test('versions are ordered by their numbers, part by part', () => {
    const part = fc.nat(50);
    fc.assert(
      fc.property(fc.tuple(part, part, part), fc.tuple(part, part, part), (a, b) => {
        const byNumber = Math.sign(a[0] - b[0] || a[1] - b[1] || a[2] - b[2]);
        expect(Math.sign(compareVersions(a.join('.'), b.join('.')))).toBe(byNumber);
      }),
    );
  });
});

describe('recipes', () => {
  test.each([
    ['cpu', 'linux', 'x64', 'tensorflow-cpu', 'manylinux_2_27_x86_64'],
    ['gpu', 'linux', 'x64', 'tensorflow', 'manylinux_2_27_x86_64'],
    ['cpu', 'linux', 'arm64', 'tensorflow', 'manylinux_2_27_aarch64'],
    ['cpu', 'darwin', 'arm64', 'tensorflow', 'macosx_12_0_arm64'],
  ] as const)('%s on %s %s is %s for %s', (build, platform, arch, distribution, tag) => {
    const recipe = recipeFor(build, { platform, arch, musl: false });
    expect(recipe.distribution).toBe(distribution);
    expect(recipe.platforms[0]).toBe(tag);
  });

  test.each([
    ['cpu', 'win32', 'x64', false],
    ['gpu', 'darwin', 'arm64', false],
    ['gpu', 'linux', 'arm64', false],
    ['cpu', 'linux', 'x64', true],
  ] as const)('%s on %s %s (musl %s) is refused with the way out', (build, platform, arch, musl) => {
    expect(() => recipeFor(build, { platform, arch, musl })).toThrow(/^engine install: .*WebAssembly/);
  });
});
