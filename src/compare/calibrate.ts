import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readTable } from '../report/index.js';
import { words } from './plan.js';
import { NULLS, PROBES, total, type SpaceFacts, type Timing, type Timings } from './sizes.js';

/** Rows, and steps of a training, that are timed. */
const ROWS = [300, 900] as const;
const STEPS = [5, 20] as const;
const COMPONENTS = [1, 2, 5];

/**
 * Times each analysis on a few rows of the latent space with the most numbers, in a temporary folder; `run` runs one
 * command line in silence.
 */
export async function calibrate(
  spaces: readonly SpaceFacts[],
  { diffusion, run, seed }: { diffusion: boolean; run: (argv: string[]) => Promise<void>; seed: number },
): Promise<Timings> {
  const folder = await mkdtemp(join(tmpdir(), 'maetok-plan-'));
  const [largest] = [...spaces].sort((a, b) => b.dims - a.dims);
  const least = Math.min(...spaces.map(({ rows }) => rows));
  const rows = ROWS.map(count => Math.min(count, least)) as [number, number];
  const timed = async (sizes: readonly [number, number], argv: (size: number) => string[]): Promise<Timing> => {
    const seconds: number[] = [];
    for (const size of sizes) {
      const started = performance.now();
      await run([...argv(size), `--seed=${seed}`]);
      seconds.push((performance.now() - started) / 1000);
    }
    return { sizes: [...sizes], seconds: seconds as [number, number] };
  };
  const file = (name: string): string => join(folder, name);
  try {
    const inputs = spaces.map(({ name, path }) => `${name}=${path}`);
    const nll = file('nll.csv');
    const sweep = words({ components: COMPONENTS, nulls: NULLS, best: file('best.csv') });
    const mixtures = await timed(rows, size => [
      ...['analyze-gmm', ...inputs, ...sweep, '--diffusion-floor', file('floor.csv')],
      ...['--rows', String(size), '--out', nll, '--force'],
    ]);
    const needed = Math.max(...(await readTable(nll)).rows.map(({ dims }) => Number(dims)));
    const labelled = spaces.find(one => one.labelled);
    const probe = words(PROBES);
    return {
      mixtures: {
        sizes: mixtures.sizes,
        seconds: mixtures.seconds.map(seconds => seconds / spaces.length) as [number, number],
        components: total(COMPONENTS),
        dims: needed,
      },
      probes: labelled && (await timed(rows, size => ['probe', labelled.path, ...probe, '--rows', String(size)])),
      diagnosis: await timed(rows, size => ['diagnose', largest.path, '--rows', String(size)]),
      embedding: await timed(rows, size => ['umap', largest.path, '--sample', String(size)]),
      diffusion: diffusion
        ? await timed(STEPS, steps => [
            ...['train', 'sit-tiny', '--latents', largest.path, '--steps', String(steps)],
            ...['--out', file(`sit-${steps}`), '--evaluate-every', String(steps)],
          ])
        : undefined,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
