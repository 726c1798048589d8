import { expect, test } from '@jest/globals';
import { requireJob, withRestart } from '../../src/cli/requeue.js';

const job = { SLURM_JOB_ID: '7' };

test('a job that Slurm starts again goes on from its state', () => {
  expect(withRestart({ requeue: true }, true, { ...job, SLURM_RESTART_COUNT: '1' })).toEqual({
    requeue: true,
    resume: true,
  });
});

test('a job’s first start begins at the beginning', () => {
  expect(withRestart({ requeue: true }, true, job)).toEqual({ requeue: true });
});

test('without --requeue a job started again does what its command line says', () => {
  expect(withRestart({ steps: 5 }, true, { ...job, SLURM_RESTART_COUNT: '1' })).toEqual({ steps: 5 });
});

test('outside Slurm --requeue is refused', () => {
  expect(() => requireJob({ requeue: true }, {})).toThrow('--requeue is for jobs of Slurm');
});
