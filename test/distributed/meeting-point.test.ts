import { expect, test } from '@jest/globals';
import { meetingPoint } from '../../src/distributed/tcp/index.js';

const slurm = { SLURM_JOB_ID: '12', SLURM_STEP_ID: '0', SLURM_STEP_NUM_NODES: '2' };
const hostOf = (list: string): string => meetingPoint('srun', { ...slurm, SLURM_STEP_NODELIST: list }).host;

test.each([
  ['n1', 'n1'],
  ['n1,n2', 'n1'],
  ['n[1-3]', 'n1'],
  ['gpu[01-03,07]-ib,login', 'gpu01-ib'],
])('of Slurm’s hosts %s the first is rank 0’s', (list, first) => {
  expect(hostOf(list)).toBe(first);
});

test('ranks of one host meet on it, whatever its name', () => {
  const env = { ...slurm, SLURM_STEP_NUM_NODES: '1', SLURM_STEP_NODELIST: 'n1' };
  expect(meetingPoint('srun', env).host).toBe('127.0.0.1');
});

test('ranks of torchrun leave it its own port', () => {
  const { host, ports } = meetingPoint('torchrun', { MASTER_ADDR: 'node7', MASTER_PORT: '29500' });
  expect(host).toBe('node7');
  expect(ports).not.toContain(29500);
});

test('other jobs meet elsewhere, or are told apart', () => {
  const [a, b] = ['12', '13'].map(id =>
    meetingPoint('srun', { ...slurm, SLURM_STEP_NODELIST: 'n1', SLURM_JOB_ID: id }),
  );
  expect(a.job).not.toBe(b.job);
});
