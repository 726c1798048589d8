import { z } from 'zod';
import { namesOf } from '../base/index.js';
import { byFirst } from '../distributed/index.js';
import type { Embedding } from '../jobs/umap/index.js';
import { agreeOnCard } from './agreement.js';
import { defineCommand } from './command.js';
import type { OpenedLatents } from './open-latents.js';
import { count, nonNegative, number, words } from '../base/options.js';
import { namelessDtype } from '../io/options.js';
import { EMBEDDING_METHODS } from '../umap/names.js';
import { common, dropNonfinite, force, limit, outFile } from './options.js';
import { card, refuseOutputs, writeTable } from './table.js';
import { chartFiles, writeChart } from './write-chart.js';

const COLUMNS = ['source', 'method', 'row', 'x', 'y', 'label', 'class'];
const QUALITY_COLUMNS = ['source', 'method', 'rows', 'neighbours', 'trustworthiness', 'continuity', 'seconds'];

const options = z.object({
  method: words
    .pipe(z.array(z.enum(namesOf(EMBEDDING_METHODS))).min(1))
    .default(['umap'])
    .describe('embeddings to compute; pca: the first two components, which initialise the others'),
  neighbours: number
    .int('must be a whole number')
    .min(3, 'must be 3 or more')
    .default(15)
    .describe('neighbours of UMAP (including the row itself), and of trustworthiness'),
  minDist: nonNegative.max(1, 'must be 1 or less').default(0.1).describe('UMAP: minimum distance between points'),
  epochs: count.optional().describe('UMAP: passes over the edges; default 500, above 10,000 rows 200'),
  perplexity: number
    .int('must be a whole number')
    .min(2, 'must be 2 or more')
    .default(30)
    .describe('t-SNE: perplexity'),
  iterations: count.default(750).describe('t-SNE: iterations, the first 250 with early exaggeration'),
  sample: count
    .default(10_000)
    .describe('maximum number of rows per source, drawn by seed; sources of the same images get the same rows'),
  chart: z.string().optional().describe('draw the embeddings: FILE.svg or FILE.png (both: FILE.svg,FILE.png)'),
  quality: z
    .string()
    .optional()
    .describe('CSV of how well each embedding preserves neighbourhoods: trustworthiness, continuity'),
  limit,
  dropNonfinite,
  dtype: namelessDtype,
  out: outFile,
  force,
  ...common,
});

export const umap = defineCommand({
  name: 'umap',
  describe:
    'Embeds latent spaces in the plane by UMAP, t-SNE or PCA, and measures how well neighbourhoods are preserved.',
  examples: [
    ['maetok umap mae=latents/mae ae=latents/ae --out umap.csv --chart umap.png', 'two latent spaces side by side'],
    ['maetok umap latents/mae --method umap,tsne,pca --sample 50000 --chart all.svg', 'all three embeddings'],
    ['maetok umap latents/mae --quiet | maetok plot --out umap.svg', 'through a pipe'],
  ],
  inputs: { name: 'latents', describe: 'latents folders or files, each optionally named (mae=PATH)', max: 64 },
  options,
  main: ['method', 'neighbours', 'perplexity', 'sample', 'chart', 'quality', 'out', 'force'],
  ranks: () => true,
  async run(chosen, inputs, context) {
    const { log, communicator } = context;
    const files = chartFiles('--chart', chosen.chart);
    await byFirst(communicator, () => refuseOutputs([...files, chosen.out, chosen.quality], chosen.force));
    const { startEngineFor } = await import('../engine/index.js');
    const { digestsOf, hiddenStatesOf, openNamedLatents } = await import('./open-latents.js');
    const { embeddingsOf } = await import('../jobs/umap/index.js');
    const { dropNonfinite, limit } = chosen;
    const opening = { dropNonfinite, limit, nameless: chosen.dtype, seed: chosen.seed, log, communicator };
    const sources = await openNamedLatents(inputs, opening);
    await startEngineFor(sources.map(({ rows }) => rows));
    const { method: methods, neighbours, minDist, epochs, perplexity, iterations, sample, seed } = chosen;
    const settings = { methods, neighbours, minDist, perplexity, iterations, sample, seed };
    const work = card('umap', {
      sources: await digestsOf(sources),
      hiddenStates: hiddenStatesOf(sources),
      ...settings,
      epochs,
      limit,
      dropNonfinite,
    });
    await agreeOnCard(communicator, work);
    const embeddings: Embedding[] = [];
    for (const { rows } of sources) embeddings.push(...(await embeddingsOf(rows, { ...settings, epochs }, context)));
    const protocol = { ...work, argv: context.argv };
    const rows = embeddings.flatMap(embedding => coordinates(embedding, sources));
    await writeChart(context, { name: 'images', columns: COLUMNS, rows }, captions(embeddings), {
      files,
      force: chosen.force,
    });
    if (chosen.quality !== undefined)
      await writeTable(
        context,
        QUALITY_COLUMNS,
        embeddings.map(({ source, method, rows, trustworthiness, continuity, seconds }) => ({
          source,
          method,
          rows: rows.length,
          neighbours,
          trustworthiness,
          continuity,
          seconds,
        })),
        { out: chosen.quality, force: chosen.force, protocol },
      );
    await writeTable(context, COLUMNS, rows, { out: chosen.out, force: chosen.force, protocol });
  },
});

function coordinates({ source, method, rows, points }: Embedding, sources: OpenedLatents[]) {
  const { rows: latents, classes } = sources.find(({ name }) => name === source)!;
  return Array.from(rows, (row, i) => {
    const label = latents.labels?.[row] ?? null;
    return {
      source,
      method,
      row,
      x: points[2 * i],
      y: points[2 * i + 1],
      label,
      class: label === null ? null : (classes?.[label] ?? null),
    };
  });
}

/** Title of a chart of these embeddings. */
function captions(embeddings: Embedding[]): { title: string; subtitle: string } {
  const methods = new Set(embeddings.map(({ method }) => method));
  const [{ method }] = embeddings;
  const kept = embeddings.map(({ source, method, trustworthiness }) =>
    [source, ...(methods.size > 1 ? [method] : []), trustworthiness.toFixed(3)].join(' '),
  );
  return {
    title: methods.size > 1 ? 'Latent spaces in the plane' : EMBEDDING_METHODS[method],
    subtitle: `trustworthiness: ${kept.join(', ')}`,
  };
}
