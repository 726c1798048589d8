import { z } from 'zod';
import type { SlopeRow } from '../jobs/synth/index.js';
import { defineCommand } from './command.js';
import { count, counts, list, positive } from '../base/options.js';
import { common, force, outFile } from './options.js';
import { card, refuseOutputs, writeTable } from './table.js';
import { chartFiles, writeChart } from './write-chart.js';

const COLUMNS = [
  ...['components', 'separation', 'dims', 'training_rows', 'repeat'],
  ...['floor', 'loss', 'excess', 'train_loss', 'best_step'],
];
const SLOPE_COLUMNS = ['separation', 'dims', 'predictor', 'slope', 'low', 'high', 'networks'];
const CHART_COLUMNS = ['space', 'components', 'training_rows', 'excess', 'excess_low', 'excess_high'];

const options = z.object({
  components: counts.default([2, 8, 32]).describe('modes of the planted mixtures'),
  separations: list(z.array(positive).min(1))
    .default([1, 3])
    .describe('standard deviation of the modes’ means divided by that within a mode'),
  dims: counts.default([16]).describe('dimensions'),
  rows: counts.default([250, 1000, 4000]).describe('training rows'),
  repeats: count.default(2).describe('networks per case, each with its own mixture, rows and weights'),
  steps: count.default(800).describe('updates of each network'),
  batchSize: count.default(256).describe('rows per update'),
  width: count.default(128).describe('hidden width of the network'),
  depth: count.default(2).describe('residual blocks of the network'),
  lr: positive.default(2e-3).describe('learning rate, with warm-up and cosine decay'),
  slopes: z.string().optional().describe('CSV of how the excess scales with modes and rows: log-log slopes, intervals'),
  chart: z.string().optional().describe('draw the excess against rows: FILE.svg or FILE.png (both: FILE.svg,FILE.png)'),
  out: outFile,
  force,
  ...common,
});

export const synthDiffusion = defineCommand({
  name: 'synth diffusion',
  describe:
    'Trains small denoisers on planted mixtures: excess loss over the closed-form floor against modes and samples.',
  examples: [
    ['maetok synth diffusion --out excess.csv --slopes slopes.csv --chart excess.png', 'Theorem 2.1’s direction'],
    ['maetok synth diffusion --components 4 --separations 0.5,1,2,4,8', 'the effect of separation alone'],
  ],
  options,
  async run(chosen, _, context) {
    const files = chartFiles('--chart', chosen.chart);
    await refuseOutputs([...files, chosen.out, chosen.slopes], chosen.force);
    const { startEngine } = await import('../engine/index.js');
    const job = await import('../jobs/synth/index.js');
    await startEngine();
    const { components, separations, dims, rows: trainingRows, repeats, steps, batchSize: batch } = chosen;
    const { width, depth, lr, seed } = chosen;
    const settings = {
      components,
      separations,
      dims,
      rows: trainingRows,
      repeats,
      steps,
      batch,
      width,
      depth,
      lr,
      seed,
    };
    const rows = await job.synthDiffusion(settings, context);
    const slopes = job.diffusionSlopes(rows);
    for (const slope of slopes) context.log.note(sentence(slope));
    if (separations.length > 1 && components.length > 1) context.log.note(job.floorVerdict(rows));
    const protocol = card('synth diffusion', { ...settings, argv: context.argv });
    const writing = { force: chosen.force, protocol };
    await writeChart(context, { name: 'synth diffusion', columns: CHART_COLUMNS, rows: job.meanExcess(rows) }, CHART, {
      files,
      force: chosen.force,
    });
    if (chosen.slopes !== undefined)
      await writeTable(
        context,
        SLOPE_COLUMNS,
        slopes.map(row => ({ ...row })),
        { out: chosen.slopes, ...writing },
      );
    await writeTable(
      context,
      COLUMNS,
      rows.map(row => ({ ...row })),
      { out: chosen.out, ...writing },
    );
  },
});

const CHART = {
  kind: 'line' as const,
  x: 'training_rows',
  y: 'excess',
  color: 'components',
  facet: 'space',
  logX: true,
  logY: true,
  title: 'Diffusion loss above its floor',
};

/** A slope in words, and whether it agrees with the theorem. */
function sentence({ separation, dims, predictor, slope, low, high }: SlopeRow): string {
  const what = predictor === 'components' ? 'modes' : 'training rows';
  const expected = predictor === 'components' ? slope > 0 : slope < 0;
  const certain = low > 0 || high < 0;
  const verdict = !certain
    ? 'the interval contains zero'
    : expected
      ? 'as the theorem predicts'
      : 'contradicts the theorem';
  return (
    `separation ${separation}, ${dims} dimensions: excess ∝ ${what}^${slope.toFixed(2)} ` +
    `[${low.toFixed(2)}, ${high.toFixed(2)}], ${verdict}`
  );
}
