import { cpSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import { tempFolder } from '../helpers/temp.js';
import { describeWith, done, LAUNCHERS, MAETOK, run, type LauncherName } from './launchers.js';
import { extraction, latentsOf, lossesOf, TRAIN } from './tiny.js';

const folder = tempFolder();
const at = (name: string): string => join(folder, name);
const SWEEP = ['analyze-gmm', at('latents'), '--components', '2,3', '--dims', '3'];

beforeAll(async () => {
  await done([...MAETOK, ...TRAIN, '--steps', '12', '--out', at('ae')]);
  await done([...MAETOK, ...extraction(at('ae'), 50), '--out', at('latents')]);
  await done([...MAETOK, ...SWEEP, '--out', at('nll.csv')]);
});

/** In the folder of its rank, each rank runs what comes next. */
const APART = ['sh', '-c', `cd ${folder}/of\${OMPI_COMM_WORLD_RANK-\${PMI_RANK-$RANK}} && exec "$@"`, 'sh'];

function apart(latentsOfRank: (rank: number) => string | undefined): void {
  for (const rank of [0, 1]) {
    rmSync(at(`of${rank}`), { recursive: true, force: true });
    mkdirSync(at(`of${rank}`));
    const latents = latentsOfRank(rank);
    if (latents !== undefined) cpSync(latents, at(`of${rank}/own`), { recursive: true });
  }
}

/** torchrun itself always fails with 1. */
const codeOf = (launcher: LauncherName, code: number): number => (launcher === 'torchrun' ? 1 : code);

const timesSaid = (said: string, line: string): number => said.split(line).length - 1;

async function refused(launcher: LauncherName, ranks: number, words: string[], code: number, line: string) {
  const ended = await run([...LAUNCHERS[launcher](ranks), ...MAETOK, ...words]);
  expect(ended.said).toContain(line);
  expect(timesSaid(ended.said, 'maetok: ')).toBe(1);
  expect(ended.code).toBe(codeOf(launcher, code));
}

for (const [name, launcher] of Object.entries(LAUNCHERS) as [LauncherName, (ranks: number) => string[]][])
  describeWith([launcher(2)[0]], name, () => {
    const out = (what: string): string => at(`${name.replace(' ', '')}-${what}`);

    test.each([2, 3])('%i ranks fit mixtures to the bytes of one process, and say how many they are', async size => {
      const said = await done([...launcher(size), ...MAETOK, ...SWEEP, '--out', out(`${size}.csv`)]);
      expect(readFileSync(out(`${size}.csv`))).toEqual(readFileSync(at('nll.csv')));
      const threads = Math.max(1, Math.floor(availableParallelism() / size));
      const line = `${size} ranks on 1 host, ${threads} thread${threads === 1 ? '' : 's'} each`;
      expect(timesSaid(said, line)).toBe(1);
    });

    test('3 ranks extract the latents of one process', async () => {
      await done([...launcher(3), ...MAETOK, ...extraction(at('ae'), 50), '--out', out('latents')]);
      expect(await latentsOf(out('latents'))).toEqual(await latentsOf(at('latents')));
    });

    test('ranks train as one process does, resumed by another number of them', async () => {
      await done([...launcher(3), ...MAETOK, ...TRAIN, '--steps', '5', '--out', out('ae')]);
      await done([...launcher(2), ...MAETOK, 'train', 'ae', '--out', out('ae'), '--resume', '--steps', '12']);
      const [losses, expected] = [lossesOf(out('ae')), lossesOf(at('ae'))];
      expect(losses).toHaveLength(12);
      losses.forEach((loss, step) => expect(Math.abs(loss / expected[step] - 1)).toBeLessThan(1e-5));
    });

    test('a command that cannot divide its work is refused in one line', async () => {
      await refused(name, 2, ['models'], 2, 'maetok: models does not divide its work among 2 ranks');
    });

    test('what one rank lacks that rank says, and all end with its code', async () => {
      apart(rank => (rank === 0 ? at('latents') : undefined));
      const { code, said } = await run([...launcher(2), ...APART, ...MAETOK, 'analyze-gmm', 'own']);
      expect(said).toContain('rank 1: maetok: own: no such latents');
      expect(timesSaid(said, 'maetok: ')).toBe(1);
      expect(code).toBe(codeOf(name, 2));
    });
  });

describeWith(['mpirun.openmpi', 'mpiexec.hydra'], 'either MPI', () => {
  test('adds the gradients of 3 ranks to the same bits', async () => {
    const [one, other] = await Promise.all(
      (['Open MPI', 'MPICH'] as const).map(async name => {
        const out = at(`bits-${name.replace(' ', '')}`);
        await done([...LAUNCHERS[name](3), ...MAETOK, ...TRAIN, '--steps', '3', '--out', out]);
        return readFileSync(join(out, 'checkpoints', 'step-3', 'model.safetensors'));
      }),
    );
    expect(one).toEqual(other);
  });
});

describeWith(['mpirun.openmpi'], 'whatever has started the ranks', () => {
  const two = LAUNCHERS['Open MPI'](2);

  test('more ranks than images share what there is', async () => {
    await done([...LAUNCHERS['Open MPI'](3), ...MAETOK, ...extraction(at('ae'), 2), '--out', at('two')]);
    await done([...MAETOK, ...extraction(at('ae'), 2), '--out', at('two-of-one')]);
    expect(await latentsOf(at('two'))).toEqual(await latentsOf(at('two-of-one')));
  });

  test('rows fewer than ranks are refused in one line', async () => {
    const few = ['analyze-gmm', at('latents'), '--dims', '1', '--components', '1', '--limit', '2', '--split', '1'];
    await refused('Open MPI', 3, few, 1, 'maetok: latents: its 2 rows to fit are fewer than the 3 ranks; start fewer');
  });

  test('a step that ranks cannot share is refused in one line', async () => {
    const line = '3 ranks cannot share a step of 1 × 8 samples evenly (--accumulate, --batch-size); start 2';
    const words = TRAIN.map(word => (word === '6' ? '8' : word));
    await refused('Open MPI', 3, [...words, '--out', at('none')], 2, line);
  });

  test('inputs that differ between ranks are refused in one line', async () => {
    await done([...MAETOK, ...extraction(at('ae'), 49), '--out', at('other')]);
    apart(rank => at(rank === 0 ? 'latents' : 'other'));
    const { code, said } = await run([...two, ...APART, ...MAETOK, 'analyze-gmm', 'own']);
    expect(said).toMatch(/maetok: own: the digest is not the same for all ranks: ".*" for rank 0, ".*" for rank 1/);
    expect(timesSaid(said, 'maetok: ')).toBe(1);
    expect(code).toBe(2);
  });
});
