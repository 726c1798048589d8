import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { complete } from '../../src/cli/complete.js';
import { COMMANDS } from '../../src/commands/index.js';
import { maetok } from '../helpers/cli.js';
import { loadedBy } from '../helpers/loaded.js';
import { tempFolder } from '../helpers/temp.js';

const LAUNCHER = fileURLToPath(new URL('../../bin/maetok.js', import.meta.url));
const temp = tempFolder();

beforeAll(() => {
  for (const [path, names] of Object.entries({
    'work/runs/mae': ['config.yaml', 'run.json'],
    'work/runs/vae': ['config.yaml', 'run.json'],
    'work/latents/mae': ['latents.json'],
    'work/other': ['notes.txt'],
  })) {
    mkdirSync(join(temp, path), { recursive: true });
    for (const name of names) writeFileSync(join(temp, path, name), '');
  }
});

const wordsFor = async (...typed: string[]): Promise<string[]> =>
  (await complete(typed)).candidates.map(([word]) => word);

describe('what completes a command line', () => {
  test('commands, and the variants of one', async () => {
    expect((await wordsFor('')).sort()).toEqual(Object.keys(COMMANDS).sort());
    expect(await wordsFor('diff')).toEqual(['diffusion-loss']);
    expect(await wordsFor('train', 'lightningdit-1')).toEqual(['lightningdit-1p0b', 'lightningdit-1p6b']);
    expect(await wordsFor('engine', 're')).toEqual(['remove']);
  });

  test('flags that are not given yet; a switch that is on, to turn it off; lists again', async () => {
    expect(await wordsFor('analyze-gmm', 'x', '--cov')).toEqual(['--covariance']);
    expect(await wordsFor('analyze-gmm', '--covariance', 'full', 'x', '--cov')).toEqual([]);
    expect(await wordsFor('analyze-gmm', '--no-p')).toEqual(['--no-pca']);
    expect(await wordsFor('analyze-gmm', '--components', '3', '--compo')).toEqual(['--components']);
    expect(await wordsFor('train', 'maetok', '--latent-')).toEqual(['--latent-tokens', '--latent-channels']);
  });

  test('choices, also behind = and in lists', async () => {
    expect(await wordsFor('analyze-gmm', 'x', '--covariance', '')).toEqual(['full', 'tied', 'diag', 'spherical']);
    expect(await wordsFor('analyze-gmm', 'x', '--covariance=s')).toEqual(['--covariance=spherical']);
    expect(await wordsFor('analyze-gmm', 'x', '--nulls', 'permutation,')).toEqual(['permutation,surrogate']);
    expect(await wordsFor('analyze-gmm', 'x', '--pca=')).toEqual(['--pca=true', '--pca=false']);
  });

  test('folders of runs and of latents where these are wanted; else the shell’s own files', async () => {
    const work = join(temp, 'work');
    expect(await wordsFor('extract', '--tokenizer', `${work}/`)).toEqual([`${work}/runs/mae`, `${work}/runs/vae`]);
    expect(await wordsFor('sample', `${work}/runs/v`)).toEqual([`${work}/runs/vae`]);
    expect(await wordsFor('analyze-gmm', `mine=${work}/`)).toEqual([`mine=${work}/latents/mae`]);
    expect(await complete(['extract', '--tokenizer', `${work}/other/`])).toEqual({ kind: 'files', candidates: [] });
    expect(await complete(['extract', '--data', ''])).toEqual({ kind: 'files', candidates: [] });
    expect(await complete(['extract', '--batch-size', ''])).toEqual({ kind: 'words', candidates: [] });
  });
});

describe('the scripts', () => {
  const script = async (shell: string): Promise<string> => {
    const { code, stdout } = await maetok('completion', shell);
    expect(code).toBe(0);
    return stdout;
  };

  test('bash completes, though it breaks words at = and :', async () => {
    writeFileSync(join(temp, 'completion.bash'), await script('bash'));
    const lines = [
      ['maetok', 'analy'],
      ['maetok', 'analyze-gmm', 'mine', '=', 'work/lat'],
      ['maetok', 'extract', '--tokenizer', '=', 'work/runs/v'],
      ['maetok', 'analyze-gmm', 'x', '--covariance', '='],
    ];
    const drive = lines.map(
      words => `COMP_WORDS=(${words.join(' ')}); COMP_CWORD=${words.length - 1}; _maetok; echo "\${COMPREPLY[@]}"`,
    );
    const { stdout, stderr } = spawnSync(
      'bash',
      [
        '-c',
        [
          `maetok() { '${process.execPath}' '${LAUNCHER}' "$@"; }`,
          // Outside an interactive completion there is none to set options of.
          'compopt() { :; }',
          'source ./completion.bash',
          'complete -p maetok',
          ...drive,
        ].join('\n'),
      ],
      { cwd: temp, encoding: 'utf8' },
    );
    expect({ lines: stdout.trim().split('\n'), stderr }).toEqual({
      lines: [
        'complete -F _maetok maetok',
        'analyze-gmm',
        'work/latents/mae',
        'work/runs/vae',
        'full tied diag spherical',
      ],
      stderr: '',
    });
  });

  const has = (shell: string): boolean => spawnSync(shell, ['--version']).error === undefined;
  for (const shell of ['zsh', 'fish'])
    (has(shell) ? test : test.skip)(
      `${shell} reads its script${has(shell) ? '' : ' (not installed here)'}`,
      async () => {
        const { status, stderr } = spawnSync(shell, ['-n'], { input: await script(shell), encoding: 'utf8' });
        expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      },
    );

  test('there is none for another shell: one line, exit 2', async () => {
    const { code, stderr } = await maetok('completion', 'tcsh');
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: "maetok: completion: no script for 'tcsh'; choose bash, zsh, fish\n",
    });
  });

  test('completing loads no engine, no codec and no parser, so that no key press waits', () => {
    const { code, packages } = loadedBy(LAUNCHER, ['--complete', 'analyze-gmm', '--c']);
    expect(code).toBe(0);
    expect([...packages]).toEqual(['zod']);
  });
});
