import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Script } from 'node:vm';
import { describe, expect, test } from '@jest/globals';
import { nodeSupport } from '../../src/base/index.js';
import { maetok } from '../helpers/cli.js';

const LAUNCHER = fileURLToPath(new URL('../../bin/maetok.js', import.meta.url));
const LINES = 'Node 20 (from 20.19), 22 (from 22.12), 24 and 26';

describe('which Node maetok runs on', () => {
  test.each([
    ['v20.19.0', `Node v20.19.0 is supported; maetok is tested on ${LINES}`],
    ['v22.12.0', `Node v22.12.0 is supported; maetok is tested on ${LINES}`],
    ['v26.12.1', `Node v26.12.1 is supported; maetok is tested on ${LINES}`],
    ['v28.0.0', `Node v28.0.0 is newer than those that maetok is tested on, which are ${LINES}`],
    ['v22.11.0', `Node v22.11.0 is not supported: maetok is tested on ${LINES}`],
    ['v25.1.0', `Node v25.1.0 is not supported: maetok is tested on ${LINES}`],
  ])('%s: doctor says so', (version, sentence) => {
    expect(nodeSupport(version)).toBe(sentence);
  });

  test('package.json, the README and the launcher say the same', () => {
    const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
    const { engines } = JSON.parse(read('package.json')) as { engines: { node: string } };
    expect(engines.node).toBe('^20.19.0 || ^22.12.0 || >=24.0.0');
    expect(read('README.md')).toContain(LINES);
    expect(read('bin/maetok.js')).toContain('[20, 19]');
  });

  test('this one is among them, and `doctor --engine` starts here', async () => {
    expect((await maetok('doctor', '--engine', 'js')).code).toBe(0);
    expect(nodeSupport()).toContain('is supported');
  });
});

describe('the launcher under a Node that is too old', () => {
  const underVersion = (version: string) => {
    const pretend = `Object.defineProperty(process, 'version', { value: 'v${version}' });
      Object.defineProperty(process, 'versions', { value: { node: '${version}' } });`;
    const preload = `data:text/javascript,${encodeURIComponent(pretend)}`;
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', preload, LAUNCHER, '--version'], {
      encoding: 'utf8',
    });
    return { status, stdout, stderr };
  };

  test.each(['10.24.1', '18.20.4', '20.18.3'])('%s: one line that says what is needed', version => {
    expect(underVersion(version)).toEqual({
      status: 1,
      stdout: '',
      stderr: `maetok: needs Node 20.19 or newer, this is v${version}: https://nodejs.org\n`,
    });
  });

  test('one that is newer than all that were tested is not refused', () => {
    expect(underVersion('31.0.0')).toMatchObject({ status: 0, stderr: '' });
  });

  test('parses as a script too: before Node 12 a package had no modules', () => {
    expect(() => new Script(readFileSync(LAUNCHER, 'utf8').replace(/^#!.*/, ''))).not.toThrow();
  });
});
