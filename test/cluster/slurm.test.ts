import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { encodeNpy } from '../helpers/npy.js';
import { startSlurm, whyNoSlurm, type SlurmCluster } from '../helpers/slurm.js';
import { tempFolder } from '../helpers/temp.js';
import { MAETOK, run, type Ended } from './launchers.js';

const obstacle = whyNoSlurm();
const describeOnSlurm = obstacle === undefined ? describe : describe.skip;

describeOnSlurm(obstacle === undefined ? 'Slurm' : `Slurm (${obstacle})`, () => {
  const folder = tempFolder();
  const at = (name: string): string => join(folder, name);
  let cluster: SlurmCluster;

  beforeAll(async () => {
    cluster = await startSlurm();
    const rows = Array.from({ length: 4000 * 8 }, (_, i) => 3 * Math.sin(i * i) + ((i * 7919) % 101) / 50);
    writeFileSync(at('x.npy'), encodeNpy({ shape: [4000, 8], dtype: 'float32', data: Float32Array.from(rows) }));
  });
  afterAll(async () => {
    await cluster.stop();
  });

  const inFolder = (words: string[]): string[] => ['env', `--chdir=${folder}`, ...words];
  const onSlurm = async (...words: string[]): Promise<Ended> => await run(inFolder(words), cluster.env);
  const maetok = async (...words: string[]): Promise<Ended> => await onSlurm(...MAETOK, ...words);
  const text = (name: string): string => readFileSync(at(name), 'utf8');

  /** Submits a script of these lines; returns the job's number. */
  const submit = async (name: string, directives: string, ...lines: string[]): Promise<string> => {
    const options = `${directives} --output=${name}.log --open-mode=append`;
    writeFileSync(at(`${name}.sh`), ['#!/bin/bash', `#SBATCH ${options}`, ...lines, ''].join('\n'));
    const { stdout, stderr } = await onSlurm('sbatch', '--parsable', `${name}.sh`);
    expect(stderr).toBe('');
    return stdout.trim();
  };
  const stateOf = async (job: string): Promise<string> =>
    (await onSlurm('squeue', '--noheader', '--states=all', '--format=%T', `--jobs=${job}`)).stdout.trim();
  const inState = async (job: string, ...states: string[]): Promise<void> => {
    await until(async () => states.includes(await stateOf(job)));
  };

  describe('ranks', () => {
    const SWEEP = ['analyze-gmm', 'x.npy', '--components', '2,5'];
    beforeAll(async () => {
      expect(await maetok(...SWEEP, '--out', 'one.csv')).toMatchObject({ code: 0 });
    });

    test.each([
      ['srun on one node', '-N1 -n2', '2 ranks on 1 host'],
      ['srun on two nodes', '-N2 -n3', '3 ranks on 2 hosts'],
      ['srun with Open MPI’s plugin', '-N2 -n2 --mpi=pmix', '2 ranks on 2 hosts'],
    ])('%s give the bytes of one process', async (name, options, told) => {
      const table = `${name}.csv`;
      const { code, stderr } = await onSlurm('srun', ...options.split(' '), ...MAETOK, ...SWEEP, '--out', table);
      expect(stderr).toContain(told);
      expect(code).toBe(0);
      expect(text(table)).toBe(text('one.csv'));
    });

    test('mpirun in a batch script gives the bytes of one process', async () => {
      const words = [...MAETOK, ...SWEEP, '--out', 'mpirun.csv'].join(' ');
      const job = await submit('mpirun', '-N2 -n2', `mpirun.openmpi --bind-to none ${words}`);
      await inState(job, 'COMPLETED', 'FAILED');
      expect(text('mpirun.log')).toContain('2 ranks on 2 hosts');
      expect(text('mpirun.csv')).toBe(text('one.csv'));
    });
  });

  describe('a study', () => {
    test('has the tables of a local run, its seeds in arrays', async () => {
      const study = {
        data: 'synthetic:scenes?count=32&size=16',
        seeds: [0, 1],
        tokenizers: { mae: TINY },
        gmm: { components: [1, 2] },
        probe: false,
        evaluate: false,
        launch: { time: 5 },
      };
      writeFileSync(at('arrays.yaml'), JSON.stringify(study));
      const local = maetok('compare', 'arrays.yaml', '--out', 'arrays-local');
      const { code, stdout, stderr } = await maetok('compare', 'arrays.yaml', '--out', 'arrays', '--launch', 'slurm');
      expect(code).toBe(0);
      expect(stderr).toMatch(/extract mae-1: job \d+_1,/);
      expect(stdout).toBe((await local).stdout);
      for (const table of ['nll-0.csv', 'nll-1.csv'])
        expect(text(`arrays/tables/${table}`)).toBe(text(`arrays-local/tables/${table}`));
    });

    test('on trial prints its scripts and submits nothing', async () => {
      const { code, stdout } = await maetok('compare', 'arrays.yaml', '--out', 'trial', '--launch=slurm', '--dry-run');
      expect(code).toBe(0);
      expect(stdout).toContain('#SBATCH --array=0,1');
      expect(stdout).toContain('--dependency=aftercorr:${job1}');
      expect((await onSlurm('squeue', '--noheader')).stdout).toBe('');
      expect(existsSync(at('trial'))).toBe(false);
    });

    test('of which a step fails: what needs it is not run; run again, nothing else is', async () => {
      const study = {
        data: at('photos'),
        tokenizers: { mae: TINY, other: { latents: 'x.npy' } },
        gmm: { components: [1, 2], dims: 'own' },
        probe: false,
        evaluate: false,
      };
      writeFileSync(at('fails.yaml'), JSON.stringify(study));
      const words = ['compare', 'fails.yaml', '--out', 'fails', '--launch', 'slurm'];
      const first = await maetok(...words);
      expect(first.code).toBe(2);
      expect(first.stderr).toMatch(/^maetok: .*train mae: .*photos: no such file .*\(job \d+, .*train-mae\.log\)$/m);
      expect(text('fails/slurm/train-mae.log')).toContain('no such file');
      expect(first.stderr).toContain('mixtures of other: done');
      expect(existsSync(at('fails/slurm/extract-mae.log'))).toBe(false);
      await until(async () => (await onSlurm('squeue', '--noheader')).stdout === '');

      await maetok('data', 'synthetic:scenes?count=32&size=16', '--out', 'photos');
      const second = await maetok(...words);
      expect(second.code).toBe(0);
      const submitted = [...second.stderr.matchAll(/\] (.*): job \d+,/g)].map(([, step]) => step);
      expect(submitted).toEqual(['train mae', 'extract mae', 'mixtures of mae']);
    });
  });
});

const TINY = {
  train: 'maetok',
  preset: 'tiny',
  'image-size': 16,
  steps: 2,
  'batch-size': 8,
  'log-every': 1,
  'evaluate-every': 2,
};

/** Waits for what is about to be so. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await pause(200);
}
