import { z } from 'zod';
import { UserError } from '../base/index.js';
import { defineCommand } from './command.js';
import { common, force, outFile } from './options.js';
import { bytes, count, counts, list, positive } from '../base/options.js';
import { card, refuseOutputs, writeTable } from './table.js';
import { chartFiles, writeChart } from './write-chart.js';

const COLUMNS = [
  ...['source', 'planted_modes', 'separation', 'umap_area', 'umap_radius', 'trustworthiness', 'components'],
  ...['nll', 'nll_low', 'nll_high', 'gain', 'bic', 'effective_components', 'modes', 'converged'],
];
const POINTS = ['source', 'x', 'y', 'label'];

const options = z.object({
  modes: counts.default([30, 4]).describe('how many modes each space has'),
  separations: list(z.array(positive).min(1))
    .default([1.5, 6])
    .describe('for each space: standard deviation of the modes’ means divided by that within a mode'),
  dims: count.default(8).describe('dimensions'),
  num: count.default(6000).describe('rows per space'),
  components: counts.default([1, 2, 4, 8, 16, 30, 45]).describe('component counts of the sweep'),
  memory: bytes.optional().describe('memory to use, e.g. 4GB; default: a quarter of the machine’s'),
  chart: z.string().optional().describe('draw NLL against components: FILE.svg or FILE.png (both: FILE.svg,FILE.png)'),
  picture: z.string().optional().describe('draw the UMAP embeddings, coloured by mode: FILE.svg or FILE.png'),
  out: outFile,
  force,
  ...common,
});

export const synthModes = defineCommand({
  name: 'synth modes',
  describe:
    'Compares many close modes with few distant ones: area of the UMAP embedding, NLL against components, effective modes.',
  examples: [
    [
      'maetok synth modes --out modes.csv --chart nll.png --picture umap.png',
      'the paper’s 30 close modes and 4 distant ones',
    ],
    ['maetok synth modes --modes 10,10 --separations 1,5', 'equally many modes, closer and further apart'],
  ],
  options,
  async run(chosen, _, context) {
    const { modes, separations, dims, num, components, seed } = chosen;
    if (modes.length !== separations.length)
      throw new UserError(
        `--separations: ${separations.length} values for the ${modes.length} spaces of --modes; give one for each`,
      );
    const [charts, embeddings] = [chartFiles('--chart', chosen.chart), chartFiles('--picture', chosen.picture)];
    await refuseOutputs([...charts, ...embeddings, chosen.out], chosen.force);
    const { totalmem } = await import('node:os');
    const { startEngine } = await import('../engine/index.js');
    const { modesVerdict, synthModes: experiment } = await import('../jobs/synth/index.js');
    await startEngine();
    const spaces = modes.map((count, i) => ({
      name: `${String.fromCharCode(65 + i)} (${count} modes)`,
      modes: count,
      separation: separations[i],
    }));
    const report = await experiment(
      { spaces, dims, rows: num, components, seed, memory: chosen.memory ?? totalmem() / 4 },
      context,
    );
    for (const { name } of spaces) context.log.note(modesVerdict(name, report.rows));
    const rows = report.rows.map(row => ({ ...row }));
    const files = { force: chosen.force };
    const tableRows = rows.map(row => ({ ...row, converged: String(row.converged) }));
    await writeChart(
      context,
      { name: 'synth modes', columns: COLUMNS, rows: tableRows },
      {},
      { files: charts, ...files },
    );
    await writeChart(context, { name: 'synth modes', columns: POINTS, rows: points(report.embeddings) }, CAPTION, {
      files: embeddings,
      ...files,
    });
    await writeTable(context, COLUMNS, rows, {
      out: chosen.out,
      force: chosen.force,
      protocol: card('synth modes', {
        modes,
        separations,
        dims,
        rows: num,
        components,
        seed,
        variance: 'one per dimension; nll of held-out standardised rows, full covariances',
        argv: context.argv,
      }),
    });
  },
});

const CAPTION = {
  title: 'UMAP of planted modes',
  subtitle: 'its area follows the gaps between modes, not their number',
};

function points(embeddings: { embedding: { source: string; points: Float32Array }; labels: Int32Array }[]) {
  return embeddings.flatMap(({ embedding: { source, points }, labels }) =>
    Array.from(labels, (label, i) => ({ source, x: points[2 * i], y: points[2 * i + 1], label })),
  );
}
