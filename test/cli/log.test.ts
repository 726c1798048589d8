import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventLog } from '../../src/cli/events.js';
import { makeLog } from '../../src/cli/log.js';
import { maetok } from '../helpers/cli.js';
import { tempFolder } from '../helpers/temp.js';

const temp = tempFolder();

/** A sink that keeps what is written, line by line. */
function sink() {
  const lines: string[] = [];
  return { lines, write: (text: string) => void lines.push(...text.trimEnd().split('\n')) };
}

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

describe('progress in a log', () => {
  test('a line after ten seconds, each time the age has doubled, and at the end', () => {
    const stderr = sink();
    const progress = makeLog(stderr, { quiet: false }).progress('training', 400, 'steps');
    for (let done = 0; done <= 100; done++) {
      progress.update(done, 'loss 0.5');
      jest.advanceTimersByTime(1000);
    }
    progress.stop();
    progress.stop();
    expect(stderr.lines.map(line => line.replace(/[\d.]+ [MG]B/, 'M'))).toEqual([
      'training: 10/400 steps, 1.00/s, 6 min 30 s left, M, loss 0.5',
      'training: 20/400 steps, 1.00/s, 6 min 20 s left, M, loss 0.5',
      'training: 40/400 steps, 1.00/s, 6 min 0 s left, M, loss 0.5',
      'training: 80/400 steps, 1.00/s, 5 min 20 s left, M, loss 0.5',
      'training: 100/400 steps in 1 min 41 s, 0.990/s, M, loss 0.5',
    ]);
  });

  test('one of something is in the singular', () => {
    const stderr = sink();
    const progress = makeLog(stderr, { quiet: false }).progress('verifying', 1, 'cases');
    jest.advanceTimersByTime(2000);
    progress.update(1);
    progress.stop();
    expect(stderr.lines).toEqual([expect.stringMatching(/^verifying: 1 case in 2\.0 s/)]);
  });

  test('a phase shorter than a second gets none, and what was done before it is no speed', () => {
    const stderr = sink();
    const log = makeLog(stderr, { quiet: false });
    log.progress('short', 1).stop();
    const resumed = log.progress('resumed', 1000, 'steps');
    resumed.update(900);
    jest.advanceTimersByTime(10_000);
    resumed.update(1000);
    resumed.stop();
    expect(stderr.lines.map(line => line.split(',')[1].trim())).toEqual(['10.0/s', '10.0/s']);
  });

  test('quiet: warnings only', () => {
    const stderr = sink();
    const log = makeLog(stderr, { quiet: true });
    log.note('a');
    log.reused('b');
    log.wrote('c');
    log.warn('d');
    log.progress('e', 1).stop();
    expect(stderr.lines).toEqual(['warning: d']);
  });
});

describe('events', () => {
  const parsed = (lines: string[]): Record<string, unknown>[] =>
    lines.map(line => JSON.parse(line) as Record<string, unknown>);

  test('a phase: begun, running at most once a second, ended', () => {
    const stderr = sink();
    const progress = eventLog(stderr, { quiet: false }).progress('sampling', 40, 'samples');
    for (let done = 0; done <= 40; done++) {
      progress.update(done, `step ${done}`);
      jest.advanceTimersByTime(100);
    }
    progress.stop();
    const events = parsed(stderr.lines);
    expect(events.map(({ state }) => state)).toEqual(['begun', 'running', 'running', 'running', 'running', 'ended']);
    expect(events[2]).toEqual({
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      event: 'progress',
      state: 'running',
      phase: 'sampling',
      unit: 'samples',
      done: 20,
      total: 40,
      rate: 10,
      eta: 2,
      seconds: 2,
      rss: expect.any(Number),
      note: 'step 20',
    });
  });

  test('a command says what it wrote, how it ended, and nothing that is no event', async () => {
    jest.useRealTimers();
    const table = join(temp, 'table.csv');
    writeFileSync(table, 'gfid,a\n1,2\n2,3\n3,1\n4,4\n5,6\n');
    const out = join(temp, 'board.csv');
    const { code, stdout, stderr } = await maetok('scoreboard', table, '--json', '--out', out);
    const events = parsed(stderr.trim().split('\n'));
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(events).toContainEqual(expect.objectContaining({ event: 'result', path: out }));
    expect(events.at(-1)).toMatchObject({ event: 'end', code: 0, warnings: 0, results: [out] });
  });

  test('a failure is an event too, also one of the command line itself', async () => {
    jest.useRealTimers();
    for (const words of [
      ['scoreboard', 'absent.csv', '--json'],
      ['scoreboard', '--tarjet', 'x', '--json'],
    ]) {
      const { code, stderr } = await maetok(...words);
      const [error, end] = parsed(stderr.trim().split('\n'));
      expect(code).toBe(2);
      expect(error).toMatchObject({ event: 'error', message: expect.not.stringMatching(/^maetok/) });
      expect(end).toMatchObject({ event: 'end', code: 2 });
    }
  });
});
