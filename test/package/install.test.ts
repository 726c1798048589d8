import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { loadedBy } from '../helpers/loaded.js';
import { tempFolder } from '../helpers/temp.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const slow = process.env.MAETOK_SLOW ? describe : describe.skip;

interface Result {
  code: number | null;
  stdout: string;
  stderr: string;
}

function run(command: string, args: string[], cwd = ROOT): Result {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8', timeout: 600_000 });
  return { code: status, stdout, stderr };
}

slow('the package, packed and installed globally without install scripts', () => {
  const temp = tempFolder();
  const prefix = join(temp, 'prefix');
  let bytes = 0;
  let packed: string[] = [];
  const maetok = (...args: string[]): Result => run(join(prefix, 'bin/maetok'), args, temp);

  beforeAll(() => {
    expect(run('npm', ['pack', '--pack-destination', temp]).code).toBe(0);
    const archive = readdirSync(temp).find(name => name.endsWith('.tgz'))!;
    bytes = statSync(join(temp, archive)).size;
    packed = run('tar', ['-tzf', archive], temp).stdout.split('\n');
    const install = ['install', '--global', '--prefix', prefix, '--ignore-scripts', '--omit=dev', join(temp, archive)];
    expect(run('npm', install, temp)).toMatchObject({ code: 0 });
  }, 600_000);

  test('is less than 5 MB, with the documentation, without tests and pictures', () => {
    expect(bytes).toBeLessThan(5e6);
    for (const name of [
      'LICENSE',
      'CITATION.cff',
      'CHANGELOG.md',
      'docs/command-line.md',
      'dist/cli/complete.js',
      'dist/licenses.txt',
    ])
      expect(packed).toContain(`package/${name}`);
    expect(packed.filter(name => /^package\/(test|bench|src|docs\/images|fixtures\/golden)\//.test(name))).toEqual([]);
  });

  test('prints its version and its commands', () => {
    expect(maetok('--version')).toMatchObject({ code: 0, stderr: '' });
    expect(maetok('--help').stdout).toMatch(/^ *doctor /m);
  });

  test('help wakes no engine and no codec, so that it is instant', () => {
    const { code, files, packages } = loadedBy(join(prefix, 'lib/node_modules/maetok/bin/maetok.js'), ['--help'], temp);
    expect(code).toBe(0);
    expect(files.filter(url => url.includes('/dist/chunks/doctor-'))).toHaveLength(1);
    const heavy = /^(@tensorflow|@img|@resvg|sharp|vega|koffi|onnxruntime-node|yauzl|csv-parse)\b/;
    expect([...packages].filter(name => heavy.test(name))).toEqual([]);
  });

  test('computes on WebAssembly', () => {
    const { code, stdout } = maetok('doctor', '--engine', 'wasm');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^wasm,ready,/m);
  });

  test('knows every engine and what would make the machine faster', () => {
    const { code, stdout } = maetok('doctor');
    expect(code).toBe(0);
    expect(stdout.match(/^(gpu|native|stock|wasm|js),/gm)).toHaveLength(5);
  });

  test('draws a chart: its fonts are packed', () => {
    const { code, stdout } = run('sh', [
      '-c',
      `printf 'step,loss\\n1,3\\n2,2\\n3,1\\n' | '${prefix}/bin/maetok' plot --x step --y loss --out '${temp}/loss.png'`,
    ]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(readdirSync(temp)).toContain('loss.png');
  });
});
