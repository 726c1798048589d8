import { expect, test } from '@jest/globals';
import { launchOf } from '../../src/distributed/index.js';

test('a process that nobody else has started is no rank', () => {
  expect(launchOf({ PATH: '/bin' })).toBeUndefined();
});

test.each([
  ['Open MPI', { OMPI_COMM_WORLD_RANK: '1', OMPI_COMM_WORLD_SIZE: '4' }],
  ['MPICH', { PMI_RANK: '1', PMI_SIZE: '4' }],
  ['Open MPI', { PMIX_RANK: '1', SLURM_STEP_ID: '0', SLURM_PROCID: '1', SLURM_NTASKS: '4' }],
  ['srun', { SLURM_STEP_ID: '0', SLURM_PROCID: '1', SLURM_NTASKS: '4' }],
  ['torchrun', { RANK: '1', WORLD_SIZE: '4', MASTER_ADDR: 'localhost' }],
])('%s names rank and size', (launcher, env) => {
  expect(launchOf(env)).toEqual({ launcher, rank: 1, size: 4 });
});

test('a batch script is one process, though Slurm names all its tasks', () => {
  expect(launchOf({ SLURM_PROCID: '0', SLURM_NTASKS: '4', SLURM_JOB_ID: '9' })).toBeUndefined();
});

test('below mpirun in a Slurm job, mpirun’s ranks count', () => {
  const slurm = { SLURM_STEP_ID: '0', SLURM_PROCID: '0', SLURM_NTASKS: '2' };
  expect(launchOf({ ...slurm, OMPI_COMM_WORLD_RANK: '3', OMPI_COMM_WORLD_SIZE: '4' })?.rank).toBe(3);
});

test('a RANK that is no number, or without a WORLD_SIZE, is somebody else’s', () => {
  expect(launchOf({ RANK: 'captain', WORLD_SIZE: '2', MASTER_ADDR: 'localhost' })).toBeUndefined();
  expect(launchOf({ RANK: '0', MASTER_ADDR: 'localhost' })).toBeUndefined();
});
