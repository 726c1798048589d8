import { RandomNumbers } from '../../src/base/index.js';
import { encodePng } from '../../src/io/index.js';
import type { ReportPage, Table, TableRow } from '../../src/report/index.js';

const SOURCES = ['mae', 'ae', 'kl-vae'];
const CLASSES = ['fox', 'owl'];
const SIDE = 16;

const table = (name: string, rows: TableRow[]): Table => ({ name, columns: Object.keys(rows[0]), rows });

/** A picture of one colour with some of another below. */
async function picture(hue: number): Promise<Uint8Array> {
  const data = Uint8Array.from({ length: SIDE * SIDE * 3 }, (_, i) => (hue * 40 + (i % 3) * 60 + (i >> 5)) % 256);
  return await encodePng({ width: SIDE, height: SIDE, data });
}

const pictures = (from: number, n: number): Promise<Uint8Array[]> =>
  Promise.all(Array.from({ length: n }, (_, k) => picture(from + k)));

/** A page with one of everything that a report may have. */
export async function reportPage(): Promise<ReportPage> {
  const uniform = new RandomNumbers(0).for('report page').uniforms(120);
  const originals = await pictures(0, 10);
  const nll = SOURCES.flatMap((source, s) =>
    [1, 5, 10, 50].map((components, i) => {
      const nll = 1.5 + 0.1 * s - 0.08 * i + 0.02 * i * i;
      return { source, components, nll, nll_low: nll - 0.04, nll_high: nll + 0.05 };
    }),
  );
  const curve = SOURCES.flatMap((source, s) =>
    Array.from({ length: 45 }, (_, i) => ({ source, t: (i + 1) / 45, loss: 0.3 + 0.1 * s + (i / 45 - 0.5) ** 2 })),
  );
  const points = SOURCES.map((source, s) => {
    const [effective_modes, fid] = [6 + 2 * s, 20 + 5 * s * s];
    return {
      source,
      effective_modes,
      effective_modes_low: effective_modes - 1,
      effective_modes_high: effective_modes + 1.5,
      fid,
      fid_low: fid - 2,
      fid_high: fid + 2,
    };
  });
  const embedding = Array.from({ length: 60 }, (_, i) => ({
    source: SOURCES[i % 3],
    row: i % 10,
    x: 4 * uniform[2 * i] + (i % 2),
    y: 4 * uniform[2 * i + 1],
    class: CLASSES[i % 2],
  }));
  const probe = SOURCES.flatMap((source, s) =>
    ['logistic', 'knn'].map((probe, p) => ({
      source,
      probe,
      accuracy: 0.7 - 0.1 * s - 0.2 * p,
      accuracy_low: 0.65 - 0.1 * s - 0.2 * p,
      accuracy_high: 0.75 - 0.1 * s - 0.2 * p,
    })),
  );
  const byGuidance = await Promise.all(
    SOURCES.map(async (name, s) => ({
      name,
      images: (await pictures(20 * s, 8)).map((image, k) => ({
        image,
        class: CLASSES[k % 2],
        guidance: k < 4 ? 1 : 2.5,
      })),
    })),
  );
  return {
    title: 'Three autoencoders',
    subtitle: 'maetok 0.1.0, 2026-01-01, seeds 0, 1, 2',
    question: 'Which latent space does a diffusion model learn best?',
    answer: [
      'The masked autoencoder’s: an FID of 20 (95% interval 18 to 22) against 25 and 40.',
      'Effective modes order the three spaces in the same way, which three points alone would do by chance one time in six.',
    ],
    lead: {
      name: 'lead',
      caption: 'Fréchet distance of samples against effective modes; bars are 95% intervals over three seeds.',
      table: table('lead', points),
      choice: { kind: 'points', x: 'effective_modes', y: 'fid', color: 'source' },
    },
    wouldChange: ['More seeds: three give an interval of ± 2.', 'More held-out rows: 1,000 of 50,000 were scored.'],
    sources: SOURCES,
    sections: [
      {
        heading: 'Summary',
        tables: [
          {
            name: 'summary',
            caption: 'Every measure with its 95% interval',
            columns: [
              { key: 'source', title: 'latent space' },
              { key: 'nll', title: 'NLL', note: 'nats per dimension, 64 axes each, 1,000 rows', better: 'lower' },
              { key: 'accuracy', title: 'probe accuracy', note: 'logistic, all 256 axes', better: 'higher' },
              { key: 'fid', title: 'FID', note: '5,000 samples', better: 'lower' },
            ],
            rows: [
              {
                source: 'mae',
                nll: { value: 1.4213, low: 1.39, high: 1.45, mark: 'best' },
                accuracy: { value: 0.71, low: 0.66, high: 0.75, mark: 'best' },
                fid: { value: 20.13, low: 18.2, high: 22.4, mark: 'best' },
              },
              {
                source: 'ae',
                nll: { value: 1.4399, low: 1.41, high: 1.47, mark: 'tied' },
                accuracy: { value: 0.52, low: 0.47, high: 0.57 },
                fid: { value: 25.2, low: 23, high: 27 },
              },
              { source: 'kl-vae', nll: { value: 1.62, low: 1.59, high: 1.65 }, accuracy: null, fid: { value: 40.5 } },
            ],
            notes: ['Numbers of different axes or rows are not comparable.'],
            commands: ['maetok analyze-gmm mae=latents/mae ae=latents/ae kl-vae=latents/kl-vae --out nll.csv'],
            cards: [
              { file: 'tables/nll.csv', fields: { command: 'analyze-gmm', split: 0.8, components: [1, 5, 10, 50] } },
            ],
          },
        ],
      },
      {
        heading: 'Mixtures',
        charts: [
          {
            name: 'nll',
            caption: 'Negative log-likelihood of held-out latents against the number of components.',
            table: table('nll', nll),
            choice: {},
            commands: ['maetok analyze-gmm mae=latents/mae ae=latents/ae kl-vae=latents/kl-vae --out nll.csv'],
            cards: [
              { file: 'tables/nll-0.csv', fields: { command: 'analyze-gmm', seed: 0, split: 0.8 } },
              { file: 'tables/nll-1.csv', fields: { command: 'analyze-gmm', seed: 1, split: 0.8 } },
            ],
          },
          {
            name: 'by-t',
            caption: 'Loss by time.',
            table: table('by-t', curve),
            choice: { kind: 'line', x: 't', y: 'loss', color: 'source' },
          },
        ],
      },
      {
        heading: 'Probes',
        charts: [{ name: 'probe', caption: 'Accuracy.', table: table('probe', probe), choice: {} }],
      },
      {
        heading: 'Embeddings',
        charts: [
          {
            name: 'embedding',
            caption: 'The latents in the plane; a picture shows where the pointer is.',
            table: table('embedding', embedding),
            choice: {},
            thumbnails: { column: 'row', images: Object.fromEntries(originals.map((image, k) => [String(k), image])) },
          },
        ],
      },
      {
        heading: 'Pictures',
        pictures: [
          {
            kind: 'reconstructions',
            caption: 'Held-out images and their reconstructions',
            originals,
            sources: await Promise.all(
              SOURCES.map(async (name, s) => ({ name, images: await pictures(s + 1, originals.length) })),
            ),
          },
          { kind: 'samples', caption: 'Samples by class and guidance', sources: byGuidance },
          { kind: 'grid', caption: 'A grid', image: originals[0] },
        ],
      },
    ],
  };
}
