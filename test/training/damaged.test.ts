import { cpSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { silentLog } from '../../src/base/index.js';
import { startEngine } from '../../src/engine/index.js';
import { readRun } from '../../src/io/index.js';
import { tempFolder } from '../helpers/temp.js';
import { trainTiny } from './tiny.js';

const folder = tempFolder();
const whole = join(folder, 'whole');
let count = 0;

/** Checkpoints after 5, 10 and 12 steps, the last two of which are kept; rows of metrics.csv after 4, 8 and 12. */
beforeAll(async () => {
  await startEngine();
  await trainTiny(whole);
});

/** A copy of the run with its newest checkpoint in other shape. */
function damagedRun(damage: (file: (name: string) => string) => void, step = 12): string {
  const out = join(folder, `damaged-${count++}`);
  cpSync(whole, out, { recursive: true });
  damage(name => join(out, 'checkpoints', `step-${step}`, name));
  return out;
}

function flipOneBit(path: string): void {
  const bytes = readFileSync(path);
  bytes[bytes.length - 1] ^= 1;
  writeFileSync(path, bytes);
}

const stateOf = (path: string): Record<string, unknown> => JSON.parse(readFileSync(path, 'utf8')) as never;

const DAMAGES: [what: string, file: string, damage: (path: string) => void][] = [
  ['an empty state', 'state.json', path => writeFileSync(path, '')],
  ['half a state', 'state.json', path => truncateSync(path, 40)],
  ['a state of other content', 'state.json', path => writeFileSync(path, '{"step": 12}')],
  ['a state that is no map', 'state.json', path => writeFileSync(path, 'null')],
  [
    'the state of another step',
    'state.json',
    path => writeFileSync(path, JSON.stringify({ ...stateOf(path), step: 9 })),
  ],
  ['no state', 'state.json', path => rmSync(path)],
  ['truncated weights', 'model.safetensors', path => truncateSync(path, 100)],
  ['empty weights', 'model.safetensors', path => writeFileSync(path, '')],
  ['no weights', 'model.safetensors', path => rmSync(path)],
  ['one bit of the weights turned', 'model.safetensors', flipOneBit],
  ['no optimizer', 'optimizer.safetensors', path => rmSync(path)],
  ['noise for an optimizer', 'optimizer.safetensors', path => writeFileSync(path, 'x'.repeat(1000))],
  ['no moving average', 'ema.safetensors', path => rmSync(path)],
  ['a truncated moving average', 'ema.safetensors', path => truncateSync(path, 150)],
];

describe('a run whose newest checkpoint is damaged', () => {
  it.each(DAMAGES)('resumes from the previous one, with a warning: %s', async (_, file, damage) => {
    const out = damagedRun(path => damage(path(file)));
    const warnings: string[] = [];
    const log = { ...silentLog, warn: (message: string) => void warnings.push(message) };
    expect(await trainTiny(out, {}, { resume: true, log })).toMatchObject({ step: 12 });
    expect(warnings).toEqual([
      expect.stringMatching(new RegExp(`checkpoints/step-12/${file}: .*; going back to step 10$`)),
    ]);
    const text = (run: string, name: string): string => readFileSync(join(run, name), 'latin1');
    for (const name of ['metrics.csv', 'checkpoints/step-12/model.safetensors', 'checkpoints/step-12/state.json'])
      expect(text(out, name)).toBe(text(whole, name));
    expect((await readdir(join(out, 'checkpoints'))).sort()).toEqual(['step-10', 'step-12']);
  });

  it('resumes from the previous one where the newest is gone though the pointer names it', async () => {
    const out = damagedRun(path => rmSync(path(''), { recursive: true }));
    expect(await trainTiny(out, {}, { resume: true })).toMatchObject({ step: 12 });
  });

  it('records in run.json where it went on from', async () => {
    const out = damagedRun(path => rmSync(path('state.json')));
    await trainTiny(out, {}, { resume: true });
    expect(stateOf(join(out, 'run.json')).sessions).toMatchObject([{ from: 0 }, { from: 10, to: 12, outcome: 'done' }]);
  });

  it('is read at the previous one only if the requested weights are damaged', async () => {
    const out = damagedRun(path => {
      truncateSync(path('ema.safetensors'), 150);
      rmSync(path('optimizer.safetensors'));
    });
    expect(await readRun(out, { weights: 'ema' })).toMatchObject({ step: 10 });
    expect(await readRun(out, { weights: 'raw' })).toMatchObject({ step: 12 });
  });
});

describe('a run without an intact checkpoint', () => {
  const ruined = (): string => {
    const out = damagedRun(path => truncateSync(path('model.safetensors'), 100));
    writeFileSync(join(out, 'checkpoints', 'step-10', 'state.json'), '');
    return out;
  };

  it('is refused in one line that names what is damaged, and is not changed', async () => {
    const out = ruined();
    await expect(trainTiny(out, {}, { resume: true })).rejects.toThrow(
      /step-12\/model.safetensors: is damaged: .*; .*step-10\/state.json: .*; no checkpoint of this run is intact: train it again with --force$/,
    );
    expect(readFileSync(join(out, 'run.json'), 'utf8')).toBe(readFileSync(join(whole, 'run.json'), 'utf8'));
    expect(readFileSync(join(out, 'metrics.csv'), 'utf8')).toBe(readFileSync(join(whole, 'metrics.csv'), 'utf8'));
  });

  it('cannot be read', async () => {
    await expect(readRun(ruined(), { weights: 'raw' })).rejects.toThrow(/no checkpoint of this run is intact/);
  });
});

describe('a run of an older version, which kept no digests', () => {
  it.each(['model.safetensors', 'optimizer.safetensors'])('notices a truncated %s', async file => {
    const out = damagedRun(path => {
      writeFileSync(path('state.json'), JSON.stringify({ ...stateOf(path('state.json')), files: undefined }));
      truncateSync(path(file), 120);
    });
    const warnings: string[] = [];
    const log = { ...silentLog, warn: (message: string) => void warnings.push(message) };
    await trainTiny(out, {}, { resume: true, log });
    expect(warnings).toEqual([expect.stringMatching(new RegExp(`${file}.*; going back to step 10$`))]);
  });
});

describe('damaged records of a run', () => {
  it.each(['run.json', 'config.yaml', 'metrics.csv'])('%s is named in one line', async name => {
    const out = damagedRun(() => undefined);
    writeFileSync(join(out, name), '{"a": "b\nc');
    await expect(trainTiny(out, {}, { resume: true })).rejects.toThrow(new RegExp(`^[^\\n]*${name}: .*$`));
  });

  it('a pointer that names nothing is passed over', async () => {
    const out = damagedRun(() => undefined);
    writeFileSync(join(out, 'latest'), '\0\0\0');
    expect(await readRun(out)).toMatchObject({ step: 12 });
  });
});
