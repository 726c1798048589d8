import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { startEngine } from '../../src/engine/index.js';
import { readRun, sha256OfFile } from '../../src/io/index.js';
import { tempFolder } from '../helpers/temp.js';
import { KILLED, trainTiny } from './tiny.js';

const folder = tempFolder();
const child = fileURLToPath(new URL('./killed-child.ts', import.meta.url));

beforeAll(async () => {
  await startEngine();
});

/** Runs the child; kills it with SIGKILL as soon as `when` says so, and tells whether it came to that. */
async function trainAndKill(out: string, when: () => boolean): Promise<boolean> {
  const running = spawn(process.execPath, ['--import', 'tsx', child, out], { stdio: ['ignore', 'ignore', 'inherit'] });
  let isKilled = false;
  const ended = once(running, 'exit');
  while (running.exitCode === null && running.signalCode === null) {
    if (when()) isKilled = running.kill('SIGKILL') || isKilled;
    await sleep(1);
  }
  await ended;
  return isKilled;
}

const names = (out: string): string[] =>
  existsSync(join(out, 'checkpoints')) ? readdirSync(join(out, 'checkpoints')) : [];

describe('a run that is killed', () => {
  it('between and within checkpoints, and resumed, gives the numbers of one that never was', async () => {
    const [whole, killed] = [join(folder, 'whole'), join(folder, 'killed')];
    await trainTiny(whole, KILLED);

    // In the midst of writing a checkpoint, after others were written and pruned.
    const isWriting = (): boolean =>
      names(killed).includes('step-30') && names(killed).some(name => name.endsWith('.partial'));
    expect(await trainAndKill(killed, isWriting)).toBe(true);
    const reached = (await readRun(killed)).step;
    expect(reached).toBeGreaterThanOrEqual(30);

    // Some steps after a later checkpoint: rows beyond it are in metrics.csv already.
    const rows = (): number => readFileSync(join(killed, 'metrics.csv'), 'utf8').trim().split('\n').length;
    const isBeyond = (): boolean => names(killed).includes('step-75') && rows() * 3 > 78;
    expect(await trainAndKill(killed, isBeyond)).toBe(true);

    expect(await trainAndKill(killed, () => false)).toBe(false);
    const metrics = (out: string): string => readFileSync(join(out, 'metrics.csv'), 'utf8');
    expect(metrics(killed)).toBe(metrics(whole));
    expect(names(killed).sort()).toEqual(names(whole).sort());
    for (const file of ['model', 'ema', 'optimizer']) {
      const digest = async (out: string) =>
        await sha256OfFile(join((await readRun(out)).checkpoint, `${file}.safetensors`));
      expect(await digest(killed)).toBe(await digest(whole));
    }
  });
});
