import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { openImages } from '../../src/data/index.js';
import { encodePng } from '../../src/io/index.js';
import { tempFolder } from '../helpers/temp.js';

const MAETOK = `${process.execPath} ${fileURLToPath(new URL('../../bin/maetok.js', import.meta.url))}`;
const folder = tempFolder();

/** A command line as a shell runs it; `$maetok` is the program. */
function shell(line: string): { code: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync('bash', ['-c', line.replaceAll('$maetok', MAETOK)], {
    cwd: folder,
    encoding: 'utf8',
  });
  return { code: status, stdout, stderr };
}

const scoreboard = (out: string): string => readFileSync(join(folder, out), 'utf8').split('\n')[0];

describe('streams that fail', () => {
  test('a full standard output: one line, exit 1', () => {
    const { code, stderr } = shell('$maetok models > /dev/full');
    expect({ code, stderr }).toEqual({ code: 1, stderr: 'maetok: standard output: the disk is full\n' });
  });

  test.each([
    ['standard error is full', '$maetok scoreboard --out full.csv 2>/dev/full', 'full.csv'],
    [
      'nobody reads standard error',
      '$maetok scoreboard --out closed.csv 2>&1 | head -0; exit ${PIPESTATUS[0]}',
      'closed.csv',
    ],
  ])('%s: the files are written all the same', (_, line, out) => {
    expect(shell(line).code).toBe(0);
    expect(scoreboard(out)).toMatch(/^setting,measure,target/);
  });

  test('a reader that leaves early is no failure', () => {
    expect(shell('$maetok models | head -1; exit ${PIPESTATUS[0]}')).toMatchObject({ code: 0, stderr: '' });
  });

  test('too many open files: one line with what helps', () => {
    writeFileSync(join(folder, 'few.csv'), 'gfid,a\n1,2\n');
    // The table is the one file too many: how many a Node holds open by itself differs from version to version.
    const exhaust = `import fs from 'node:fs';
      import { syncBuiltinESMExports } from 'node:module';
      const { readFile } = fs.promises;
      fs.promises.readFile = (...args) => {
        if (args[0] === 'few.csv') try { for (;;) fs.openSync('/dev/null'); } catch {}
        return readFile(...args);
      };
      syncBuiltinESMExports();`;
    const preload = `data:text/javascript,${encodeURIComponent(exhaust)}`;
    const { code, stderr } = shell(`ulimit -n 256; NODE_OPTIONS="--import ${preload}" $maetok scoreboard few.csv`);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: 'maetok: few.csv: cannot be read: too many files are open at once; allow more with `ulimit -n 4096`\n',
    });
  });
});

describe('signals', () => {
  /** How a command ends that is interrupted once `begun`, and how long that took. */
  async function ended(argv: string[], begun: () => Promise<unknown>, name: NodeJS.Signals = 'SIGTERM') {
    const [node, launcher] = MAETOK.split(' ');
    const child = spawn(node, [launcher, ...argv], { cwd: folder, stdio: 'ignore' });
    const exit = new Promise<[number | null, string | null]>(done => child.on('exit', (...how) => done(how)));
    await begun();
    const told = performance.now();
    child.kill(name);
    const [code, signal] = await exit;
    return { code, signal, seconds: (performance.now() - told) / 1000 };
  }

  test('a command with nothing to save ends at once, whatever it computes', async () => {
    // Half a minute of random pairings without a pause.
    const rows = Array.from({ length: 400 }, (_, i) => `${i},${Math.sin(i)},${Math.cos(7 * i)}`);
    writeFileSync(join(folder, 'board.csv'), `gfid,a,b\n${rows.join('\n')}\n`);
    const { signal, seconds } = await ended(['scoreboard', 'board.csv'], () => sleep(4000));
    expect(signal).toBe('SIGTERM');
    expect(seconds).toBeLessThan(1);
  });

  test('one that saves does so and ends with 143', async () => {
    const wanted = ['train', 'ae', '--data', 'synthetic:scenes?count=64', '--steps', '100000', '--batch-size', '4'];
    const { code } = await ended([...wanted, '--engine', 'wasm', '--out', 'run'], async () => {
      while (!existsSync(join(folder, 'run', 'run.json'))) await sleep(200);
    });
    expect(code).toBe(143);
    expect(existsSync(join(folder, 'run', 'latest'))).toBe(true);
  }, 120_000);

  test.each([
    ['SIGTERM', 143],
    ['SIGUSR1', 138],
  ] as const)(
    '%s: extraction saves and ends with %d while threads decode without a pause',
    async (name, code) => {
      const [vae, images, latents] = ['vae', 'images', `latents-${name}`].map(part => join(folder, part));
      for (const path of [vae, images]) mkdirSync(path, { recursive: true });
      const golden = fileURLToPath(new URL('../../fixtures/golden/convolutional/sdvae-quant', import.meta.url));
      const { parameters } = JSON.parse(readFileSync(join(golden, 'config.json'), 'utf8')) as { parameters: unknown };
      writeFileSync(join(vae, 'config.json'), JSON.stringify(parameters));
      copyFileSync(join(golden, 'weights.safetensors'), join(vae, 'model.safetensors'));
      const { data, width, height } = await (await openImages('synthetic:scenes?count=1&size=64')).read(0);
      const png = await encodePng({ data, width, height });
      for (let i = 0; i < 900; i++) writeFileSync(join(images, `${i}.png`), png);
      const wanted = ['extract', '--tokenizer', vae, '--image-size', '128', '--data', images, '--out', latents];
      const begun = async (): Promise<void> => {
        while (!existsSync(latents) || !readdirSync(latents).includes('unfinished_rank00.json')) await sleep(50);
        await sleep(1500);
      };
      expect((await ended(wanted, begun, name)).code).toBe(code);
      const { shards } = JSON.parse(readFileSync(join(latents, 'unfinished_rank00.json'), 'utf8')) as {
        shards: object[];
      };
      expect(shards).toMatchObject([{ start: 0, rows: expect.any(Number) }]);
    },
    60_000,
  );
});
