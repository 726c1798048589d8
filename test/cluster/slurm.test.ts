import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { quoted } from '../../src/base/index.js';
import { encodeNpy } from '../helpers/npy.js';
import { startSlurm, whyNoSlurm, type SlurmCluster } from '../helpers/slurm.js';
import { tempFolder } from '../helpers/temp.js';
import { MAETOK, run, start, type Ended } from './launchers.js';

const obstacle = whyNoSlurm();
const slowTest = process.env.MAETOK_SLOW === '1' ? test : test.skip;
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

  describe('faults', () => {
    /** Long enough to be disturbed, with a state to go on from. */
    const sweep = (name: string): string[] => [
      ...['analyze-gmm', 'x.npy', '--no-pca', '--tol', '0', '--max-iter', '60', '--components', '10,20,30,31,32,33,34'],
      ...['--quiet', '--state', `${name}-state`, '--out', `${name}.csv`],
    ];
    const hasState = (name: string) => (): boolean =>
      existsSync(at(`${name}-state`)) && readdirSync(at(`${name}-state`)).some(file => file.includes('-k10-'));
    const ranksOf = (...words: string[]): string => ['srun', ...words].join(' ');
    beforeAll(async () => {
      expect(await maetok(...sweep('undisturbed'))).toMatchObject({ code: 0 });
    });

    test('a job that is cancelled has saved, and is continued to the same table', async () => {
      const job = await submit('cancelled', '-N2 -n2', ranksOf(...MAETOK, ...sweep('cancelled')));
      await until(hasState('cancelled'));
      await onSlurm('scancel', job);
      await inState(job, 'CANCELLED');
      await until(() => processesOf('cancelled.csv').length === 0);
      expect(text('cancelled.log')).toMatch(/maetok: .*(interrupted|stopped).*/);
      expect(existsSync(at('cancelled.csv'))).toBe(false);
      expect(await maetok(...sweep('cancelled'))).toMatchObject({ code: 0 });
      expect(text('cancelled.csv')).toBe(text('undisturbed.csv'));
    });

    test('--requeue after a warning has the job run again, to the same table', async () => {
      const words = ranksOf(...MAETOK, ...sweep('warned'), '--requeue');
      const job = await submit('warned', '-N2 -n2 --requeue', words);
      await until(hasState('warned'));
      await onSlurm('scancel', '--signal=USR1', job);
      await inState(job, 'PENDING');
      expect(text('warned.log')).toMatch(/JOB \d+ ON n1 CANCELLED .* DUE TO JOB REQUEUE/);
      expect(existsSync(at('warned.csv'))).toBe(false);
      await inState(job, 'COMPLETED', 'FAILED');
      expect(text('warned.csv')).toBe(text('undisturbed.csv'));
    });

    test('a job that makes way for another is run again and goes on, to the same weights', async () => {
      const training = ['train', 'maetok', ...DATA, '--preset=tiny', '--image-size=16', '--batch-size=8', '--steps=16'];
      const ranked = (name: string): string[] => [
        ...['srun', '-n2', ...MAETOK, ...training, '--log-every=1', '--evaluate-every=16', '--out', name],
      ];
      const undisturbed = onSlurm(...ranked('trained'));
      const job = await submit(
        'preempted',
        '-n2 --requeue',
        [...ranked('preempted'), '--requeue'].map(quoted).join(' '),
      );
      await until(
        () => existsSync(at('preempted/metrics.csv')) && text('preempted/metrics.csv').split('\n').length > 4,
      );
      await onSlurm('scontrol', 'requeue', job);
      await inState(job, 'PENDING');
      await inState(job, 'COMPLETED', 'FAILED');
      expect(text('preempted.log')).toContain('preempted: resumes after step');
      expect((await undisturbed).code).toBe(0);
      const weights = 'checkpoints/step-16/model.safetensors';
      expect(readFileSync(at(`preempted/${weights}`))).toEqual(readFileSync(at(`trained/${weights}`)));
      expect(text('preempted/metrics.csv')).toBe(text('trained/metrics.csv'));
    }, 120_000);

    /** Of samples: every picture. Of latents, which a resumed run divides among other shards: what is measured of their rows. */
    const contents = async (name: string): Promise<unknown> => {
      const pictures = readdirSync(at(name)).filter(file => file.endsWith('.png'));
      if (pictures.length > 0) return pictures.map(file => [file, readFileSync(at(`${name}/${file}`), 'base64')]);
      const { code, stdout } = await maetok('analyze-gmm', `x=${name}`, '--components', '1,3');
      expect(code).toBe(0);
      return stdout;
    };
    slowTest.each([
      [
        'extract',
        [
          'extract',
          '--tokenizer=trained',
          '--data=synthetic:scenes?count=12000&size=16',
          '--batch-size=8',
          '--shard-rows=1000',
        ],
      ],
      ['sample', ['sample', 'diffused', '--tokenizer=trained', '--num=600', '--steps=20', '--batch-size=8']],
    ])(
      '%s that is warned amid its work is run again, to the same rows or pictures',
      async (command, words) => {
        if (command === 'sample')
          await onSlurm(
            ...['srun', '-n1', ...MAETOK, 'train', 'sit-tiny', '--latents=extract-whole', '--steps=2'],
            ...['--batch-size=8', '--evaluate-every=2', '--out=diffused'],
          );
        const ranked = (name: string): string[] => ['srun', '-n2', ...MAETOK, ...words, '--out', name];
        expect(await onSlurm(...ranked(`${command}-whole`))).toMatchObject({ code: 0 });
        const again = [...ranked(command), '--requeue'].map(quoted).join(' ');
        const job = await submit(command, '-n2 --requeue', again);
        const begun = (): boolean =>
          existsSync(at(command)) && readdirSync(at(command)).some(file => /\.(png|safetensors)$/.test(file));
        await until(begun);
        // As Slurm does ahead of a time limit, which would have to suit the machine's speed.
        await onSlurm('scancel', '--signal=USR1', job);
        await inState(job, 'PENDING', 'COMPLETED', 'FAILED');
        await until(async () => (await stateOf(job)) === 'COMPLETED');
        expect(text(`${command}.log`)).toContain(`job ${job} is near its end and saved`);
        expect(await contents(command)).toEqual(await contents(`${command}-whole`));
      },
      600_000,
    );

    test.each([
      ['first', 0, []],
      ['last', 2, []],
      ['last, under srun -K,', 2, ['-K']],
    ])('the %s of three ranks killed: all end, and it is named once', async (_, rank, options) => {
      const name = `killed-${rank}${options.join('')}`;
      const running = start(inFolder(['srun', '-N2', '-n3', ...options, ...MAETOK, ...sweep(name)]), cluster.env);
      await until(hasState(name));
      process.kill(processesOf(`${name}.csv`).find(one => one.rank === rank)!.pid, 'SIGKILL');
      const killed = performance.now();
      const { code, stderr } = await running.ended;
      expect(performance.now() - killed).toBeLessThan(30_000);
      expect(code).toBe(137);
      if (options.length === 0)
        expect(stderr.match(/maetok: rank \d is gone/g)).toEqual([`maetok: rank ${rank} is gone`]);
      expect(existsSync(at(`${name}.csv`))).toBe(false);
    });

    test('a rank that is stopped, as if its host had lost its link, ends the others', async () => {
      const running = start(inFolder(['srun', '-N2', '-n2', ...MAETOK, ...sweep('silent')]), cluster.env);
      await until(hasState('silent'));
      const [first, second] = [0, 1].map(rank => processesOf('silent.csv').find(one => one.rank === rank)!.pid);
      process.kill(second, 'SIGSTOP');
      const stopped = performance.now();
      await until(() => !processesOf('silent.csv').some(({ pid }) => pid === first));
      expect(performance.now() - stopped).toBeLessThan(30_000);
      process.kill(second, 'SIGKILL');
      expect((await running.ended).stderr).toContain('maetok: rank 1 is gone: nothing was heard of it for 15 s');
    });

    test('a node that fails ends the ranks of the others; the job is continued on what is left', async () => {
      const job = await submit('node', '-N2 -n2 --no-requeue', ranksOf(...MAETOK, ...sweep('node')));
      await until(hasState('node'));
      await cluster.crash('n2');
      const crashed = performance.now();
      await until(() => processesOf('node.csv').length === 0);
      expect(performance.now() - crashed).toBeLessThan(30_000);
      expect(text('node.log')).toContain('maetok: rank 1 is gone');
      await onSlurm('scancel', job);
      expect(await onSlurm('srun', '-N1', '-n1', ...MAETOK, ...sweep('node'))).toMatchObject({ code: 0 });
      expect(text('node.csv')).toBe(text('undisturbed.csv'));
    });
  });
});

const DATA = ['--data', 'synthetic:scenes?count=64&size=16'];

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

interface Task {
  pid: number;
  rank: number;
}

/** The ranks that srun has started with this word on their command line. */
function processesOf(word: string): Task[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .flatMap(name => {
      try {
        const [words, env] = ['cmdline', 'environ'].map(file =>
          readFileSync(`/proc/${name}/${file}`, 'utf8').split('\0'),
        );
        const rank = env.find(line => line.startsWith('SLURM_PROCID='))?.split('=')[1];
        const isRank = words[1] === MAETOK[1] && words.includes(word) && rank !== undefined;
        return isRank ? [{ pid: Number(name), rank: Number(rank) }] : [];
      } catch {
        return []; // It has ended.
      }
    });
}
