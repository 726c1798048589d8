import { beforeAll, describe, expect, test } from '@jest/globals';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { tryLock } from '../../src/base/index.js';
import { maetok } from '../helpers/cli.js';
import { rowsOf } from '../helpers/csv.js';
import { tempFolder } from '../helpers/temp.js';

const root = tempFolder();

function put(path: string, content: unknown): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), typeof content === 'string' ? content : JSON.stringify(content));
}

function putRun(
  folder: string,
  { step, model = 'maetok', outcome }: { step: number; model?: string; outcome: string },
) {
  put(`${folder}/config.yaml`, `model: ${model}\ntraining:\n  steps: 100\n`);
  put(`${folder}/run.json`, { sessions: [{ outcome }] });
  put(`${folder}/metrics.csv`, 'step,loss\n10,0.5\n20,0.25\n30,0.1'); // the last row is not whole
  put(`${folder}/checkpoints/step-${step}/state.json`, { step });
}

beforeAll(() => {
  putRun('study/tokenizers/done', { step: 100, outcome: 'done' });
  putRun('study/tokenizers/stopped', { step: 40, outcome: 'interrupted' });
  putRun('sit', { step: 40, outcome: 'diverged', model: 'sit-tiny' });
  putRun('broken', { step: 40, outcome: 'done' });
  put('broken/checkpoints/step-40/state.json', '{');
  put('latents/whole/latents.json', { count: 50, meta: { tokenizer: { name: 'mae' } } });
  put('latents/part/unfinished_rank00.json', { shards: [{ rows: 10 }, { rows: 5 }] });
  put('samples/samples.json', { model: 'sit' });
  for (const k of [0, 1]) put(`samples/00000${k}.png`, '');
  put('study/steps.json', { a: { argv: ['train'], seconds: 1, version: '0' } });
  put('study/plan.json', ['a', 'b', 'c']);
  put('notes/readme.txt', 'not ours');
});

async function found(...words: string[]): Promise<Record<string, Record<string, string>>> {
  const { code, stdout } = await maetok('runs', root, ...words);
  expect(code).toBe(0);
  return Object.fromEntries(rowsOf(stdout).map(row => [row.folder.slice(root.length + 1), row]));
}

describe('maetok runs', () => {
  test('says of each folder what it is, how it stands and what comes next', async () => {
    const rows = await found();
    expect(rows).toEqual({
      study: expect.objectContaining({ kind: 'study', state: 'interrupted', done: '1', total: '3', next: 'b' }),
      'study/tokenizers/done': expect.objectContaining({
        kind: 'tokenizer',
        state: 'finished',
        loss: '0.25',
        next: '',
      }),
      'study/tokenizers/stopped': expect.objectContaining({ state: 'interrupted', done: '40', total: '100' }),
      sit: expect.objectContaining({ kind: 'diffusion', model: 'sit-tiny', state: 'failed' }),
      broken: expect.objectContaining({ state: 'damaged' }),
      'latents/whole': expect.objectContaining({ kind: 'latents', model: 'mae', state: 'finished', done: '50' }),
      'latents/part': expect.objectContaining({ kind: 'latents', state: 'interrupted', done: '15', total: '' }),
      samples: expect.objectContaining({ kind: 'samples', model: 'sit', state: 'interrupted', done: '2' }),
    });
    expect(rows.sit.next).toBe(`maetok train sit-tiny --out ${join(root, 'sit')} --resume`);
    expect(Number(rows.sit.age_seconds)).toBeLessThan(600);
  });

  test('a folder that a process holds is running; --state keeps what is asked for', async () => {
    const lock = await tryLock(join(root, 'sit', '.maetok.lock'));
    expect(lock).toHaveProperty('release');
    try {
      expect(Object.keys(await found('--state', 'running'))).toEqual(['sit']);
    } finally {
      (lock as { release: () => void }).release();
    }
    expect(Object.keys(await found('--state', 'failed,damaged')).sort()).toEqual(['broken', 'sit']);
  });

  test('a missing folder: one line, exit 2', async () => {
    const { code, stderr } = await maetok('runs', join(root, 'absent'));
    expect({ code, stderr }).toEqual({ code: 2, stderr: `maetok: ${join(root, 'absent')}: no such folder\n` });
  });
});
