import { z } from 'zod';
import { sampleOptions } from '../jobs/sample/options.js';
import type { SampleResult } from '../jobs/sample/index.js';
import { defineCommand, type Context } from './command.js';
import { namedInput } from './inputs.js';
import { common, requeue } from './options.js';
import { card, writeTable, type Row } from './table.js';

const options = z.object({ ...sampleOptions.shape, requeue, ...common });

export const sample = defineCommand({
  name: 'sample',
  describe: 'Samples images from a diffusion model. Sample k depends on the seed and k only, not on the batch.',
  examples: [
    ['maetok sample runs/sit --tokenizer runs/mae --num 64 --guidance 2 --out samples/sit', 'PNGs, .npz and a grid'],
    ['maetok sample runs/sit --num 50000 --labels random --sampler heun --steps 25 --out fid', 'for `evaluate`'],
    ['maetok sample runs/sit --bad runs/sit-early --guidance 2 --out samples/auto', 'autoguidance'],
    [
      'maetok sample runs/sit --num 256 --trajectory-measures --out samples/paths > paths.csv',
      'how straight its paths are',
    ],
    [
      'maetok sample ldit.pt --tokenizer vavae.pt --latents latents --convention lightningdit --guidance 6.7 --interval 0.125,1 --shift 0.3 --steps 250 --out s',
      'published weights, in the convention of their code',
    ],
  ],
  inputs: { name: 'run', describe: 'a run of `train sit-…`, or weights of SiT, DiT, REPA, MAETok’s SiT, LightningDiT' },
  options,
  main: [
    'out',
    'num',
    'labels',
    'guidance',
    'interval',
    'sampler',
    'steps',
    'shift',
    'tokenizer',
    'grid',
    'npz',
    'resume',
    'force',
  ],
  saves: () => true,
  ranks: () => true,
  async run(chosen, [input], context) {
    const { startEngine } = await import('../engine/index.js');
    await startEngine();
    const { sampleRun } = await import('../jobs/sample/index.js');
    const { samples, samplesPerSecond, trajectories } = await sampleRun(input, chosen, context);
    context.log.wrote(chosen.out, `${chosen.out}: ${samples} samples (${samplesPerSecond.toPrecision(3)} samples/s)`);
    if (trajectories) await writeTrajectories(namedInput(input).name, chosen.out, trajectories, context);
  },
});

/** A row a path beside the samples, and their means on stdout. */
async function writeTrajectories(
  source: string,
  folder: string,
  { rows, card: fields }: NonNullable<SampleResult['trajectories']>,
  context: Context,
): Promise<void> {
  const { TRAJECTORY_COLUMNS, trajectoriesOf, trajectorySummary } = await import('../jobs/sample/index.js');
  const out = trajectoriesOf(folder);
  const protocol = card('sample', { argv: context.argv, ...fields });
  await writeTable(context, [...TRAJECTORY_COLUMNS], rows as unknown as Row[], { out, force: true, protocol });
  const still = rows.filter(({ straightness }) => Number.isNaN(straightness)).length;
  if (still > 0) context.log.warn(`${out}: ${still} paths stand still in a step; the means are those of the others`);
  const means = trajectorySummary(rows);
  await writeTable(
    context,
    ['source', ...Object.keys(means[0])],
    means.map(row => ({ source, ...row })),
    {},
  );
}
