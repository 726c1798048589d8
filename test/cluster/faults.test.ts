import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import { tempFolder } from '../helpers/temp.js';
import { describeWith, done, LAUNCHERS, MAETOK, processOf, start, until, type LauncherName } from './launchers.js';
import { extraction, latentsOf, lossesOf, sweep, TRAIN } from './tiny.js';

const folder = tempFolder();
const at = (name: string): string => join(folder, name);
const IMAGES = 400;
const STEPS = '30';

beforeAll(async () => {
  await done([...MAETOK, ...TRAIN, '--steps', STEPS, '--out', at('ae')]);
  await done([...MAETOK, ...extraction(at('ae'), IMAGES), '--out', at('latents')]);
  await done([...MAETOK, ...sweep(at('latents'), at('state'), at('nll.csv'))]);
}, 120_000);

const LONG = 120_000;
const listed = (place: string): string[] => (existsSync(place) ? readdirSync(place) : []);

/** Starts ranks and kills one of them once something has happened. */
async function killed(words: string[], rank: number, happened: () => boolean) {
  const job = start(words);
  await until(happened, job);
  const told = performance.now();
  process.kill(processOf(job.pid, rank), 'SIGKILL');
  const { code, said } = await job.ended;
  expect(code).not.toBe(0);
  expect((performance.now() - told) / 1000).toBeLessThan(30);
  return said;
}

/** Who names the rank: its launcher, or for lack of one that does the ranks that are left. */
const NAMED: Record<LauncherName, RegExp> = {
  'Open MPI': /process rank 1 .* exited on signal 9/,
  // It names a process, and ends the others before they could say more: 9 is the killed one's, and 6 that of a rank whose
  // UCX was just reading the killed one's memory, which it takes for a reason to abort.
  MPICH: /BAD TERMINATION[^]*EXIT CODE: [96]/,
  torchrun: /maetok: rank 1 is gone/,
};

function expectLosses(out: string): void {
  const [losses, expected] = [lossesOf(out), lossesOf(at('ae'))];
  expect(losses).toHaveLength(Number(STEPS));
  losses.forEach((loss, step) => expect(Math.abs(loss / expected[step] - 1)).toBeLessThan(1e-5));
}

for (const [name, launcher] of Object.entries(LAUNCHERS) as [LauncherName, (ranks: number) => string[]][])
  describeWith([launcher(2)[0]], `a rank of ${name} is killed`, () => {
    test(
      'in training: all end, and one process goes on from the last state',
      async () => {
        const out = at(`ae-${name}`);
        const words = [...launcher(3), ...MAETOK, ...TRAIN, '--steps', STEPS, '--out', out];
        const said = await killed(words, 1, () => listed(join(out, 'checkpoints')).includes('step-5'));
        expect(said).toMatch(NAMED[name]);
        expect(said.split('is gone').length - 1).toBe(name === 'torchrun' ? 1 : 0);
        await done([...MAETOK, 'train', 'ae', '--out', out, '--resume']);
        expectLosses(out);
      },
      LONG,
    );
  });

describeWith(['mpirun.openmpi'], 'a rank is killed', () => {
  const ranks = LAUNCHERS['Open MPI'];

  test(
    'in a sweep of mixtures: no table is there until the same command, on fewer ranks, has finished it',
    async () => {
      const words = [...MAETOK, ...sweep(at('latents'), at('killed-state'), at('killed.csv'))];
      const fits = (): number => listed(at('killed-state')).filter(file => /k\d+.*\.npz$/.test(file)).length;
      const said = await killed([...ranks(3), ...words], 1, () => fits() >= 2);
      expect(said).toMatch(NAMED['Open MPI']);
      expect(existsSync(at('killed.csv'))).toBe(false);
      await done([...ranks(2), ...words]);
      expect(readFileSync(at('killed.csv'))).toEqual(readFileSync(at('nll.csv')));
    },
    LONG,
  );

  test(
    'while latents are extracted: there are none until --resume, on fewer ranks, has made the rest',
    async () => {
      const words = [...MAETOK, ...extraction(at('ae'), IMAGES), '--out', at('killed-latents')];
      const shards = (): string[] => listed(at('killed-latents')).filter(file => file.endsWith('.safetensors'));
      const said = await killed([...ranks(3), ...words], 1, () => shards().length >= 2);
      expect(said).toMatch(NAMED['Open MPI']);
      expect(existsSync(at('killed-latents/latents.json'))).toBe(false);
      await done([...ranks(2), ...words, '--resume']);
      expect(await latentsOf(at('killed-latents'))).toEqual(await latentsOf(at('latents')));
    },
    LONG,
  );
});

/** mpirun kills ranks a second after SIGTERM, too soon for a machine that is busy. */
const PATIENCE = ['--mca', 'odls_base_sigkill_timeout', '4'];

/**
 * What mpirun ends with itself, told to end, is 1; another signal it hands on. mpiexec of MPICH, signalled, now and then ends
 * with 0 whatever its ranks ended with.
 */
const SIGNALS: [LauncherName, NodeJS.Signals, number[]][] = [
  ['Open MPI', 'SIGTERM', [1]],
  ['Open MPI', 'SIGUSR1', [138]],
  ['MPICH', 'SIGTERM', [143, 0]],
  ['MPICH', 'SIGUSR1', [138, 0]],
  ['torchrun', 'SIGTERM', [1]],
];

for (const [name, signal, expected] of SIGNALS)
  describeWith([LAUNCHERS[name](2)[0]], `${name} is sent ${signal}`, () => {
    test(
      'the ranks save and end, and --resume goes on',
      async () => {
        const out = at(`${name}-${signal}`);
        const [program, ...options] = LAUNCHERS[name](2);
        const patience = name === 'Open MPI' ? PATIENCE : [];
        const job = start([program, ...patience, ...options, ...MAETOK, ...TRAIN, '--steps', '100000', '--out', out]);
        await until(() => existsSync(join(out, 'metrics.csv')) && lossesOf(out).length > 0, job);
        process.kill(job.pid, signal);
        const { code, said } = await job.ended;
        const step = Number(/maetok: interrupted; step (\d+) is saved in .*, --resume continues/.exec(said)?.[1]);
        expect(expected).toContain(code);
        await done([...MAETOK, 'train', 'ae', '--out', out, '--resume', '--steps', String(step + 3)]);
        expect(lossesOf(out)).toHaveLength(step + 3);
      },
      LONG,
    );
  });
