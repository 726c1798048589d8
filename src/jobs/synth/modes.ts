import { RandomNumbers, type Log } from '../../base/index.js';
import { arrayRows } from '../../rows/index.js';
import { drawRows, extentOf, plantedMixture } from '../../synth/index.js';
import { analyzeGmm } from '../gmm/index.js';
import { embeddingsOf, type Embedding } from '../umap/index.js';

export interface PlantedSpace {
  name: string;
  modes: number;
  /** Standard deviation of the modes' means over that within a mode. */
  separation: number;
}

export interface ModesSettings {
  spaces: PlantedSpace[];
  dims: number;
  rows: number;
  /** Component counts of the sweep. */
  components: number[];
  seed: number;
  /** Bytes. */
  memory: number;
}

export interface ModesRow {
  source: string;
  planted_modes: number;
  separation: number;
  umap_area: number;
  umap_radius: number;
  trustworthiness: number;
  components: number;
  nll: number;
  nll_low: number;
  nll_high: number;
  gain: number;
  bic: number;
  effective_components: number;
  modes: number | null;
  converged: boolean;
}

export interface ModesReport {
  rows: ModesRow[];
  embeddings: { embedding: Embedding; labels: Int32Array }[];
}

/**
 * Latent spaces whose modes are known, each embedded by UMAP and analysed by a sweep of mixtures: does a spread-out embedding
 * mean many modes? All have unit variance, so that their likelihoods compare.
 */
export async function synthModes(
  settings: ModesSettings,
  context: { log: Log; signal?: AbortSignal },
): Promise<ModesReport> {
  const report: ModesReport = { rows: [], embeddings: [] };
  for (const [i, space] of settings.spaces.entries()) {
    const { name, modes, separation } = space;
    const random = new RandomNumbers(settings.seed).for('synth-modes').at(i);
    const mixture = plantedMixture({ components: modes, dims: settings.dims, separation, random });
    const { data, labels } = drawRows(mixture, settings.rows, random);
    const rows = arrayRows(name, data, settings.rows, settings.dims, labels);
    const [embedding] = await embeddingsOf(rows, embeddingSettings(settings), context);
    const { area, radius } = extentOf(embedding.points);
    const sweep = await analyzeGmm([{ name, rows }], sweepSettings(settings), context);
    report.embeddings.push({ embedding, labels });
    for (const row of sweep.rows)
      report.rows.push({
        source: name,
        planted_modes: modes,
        separation,
        umap_area: area,
        umap_radius: radius,
        trustworthiness: embedding.trustworthiness,
        components: row.components,
        nll: row.nll,
        nll_low: row.nll_low,
        nll_high: row.nll_high,
        gain: row.gain,
        bic: row.bic,
        effective_components: row.effective_components,
        modes: row.modes,
        converged: row.converged,
      });
  }
  return report;
}

const embeddingSettings = ({ rows, seed }: ModesSettings) => ({
  methods: ['umap'] as const,
  neighbours: 15,
  minDist: 0.1,
  perplexity: 30,
  iterations: 1000,
  sample: rows,
  seed,
});

const sweepSettings = ({ components, seed, memory }: ModesSettings) => ({
  components,
  covariance: 'full' as const,
  algorithm: 'em' as const,
  start: 'kmeans' as const,
  restarts: 3,
  repeats: 1,
  regCovar: 1e-6,
  tol: 1e-4,
  maxIter: 300,
  controls: ['none' as const],
  grow: false,
  memory,
  modes: true,
  pca: false,
  standardize: true,
  dims: 'own' as const,
  variance: 0.9,
  trainShare: 0.8,
  seed,
});

/** Summarises the rows of one space in a sentence. */
export function modesVerdict(name: string, rows: ModesRow[]): string {
  const own = rows.filter(({ source }) => source === name);
  const best = own.reduce((a, b) => (b.nll < a.nll ? b : a));
  const { planted_modes, separation, umap_area } = best;
  return (
    `${name}: ${planted_modes} modes at separation ${separation}; held-out nll is lowest, ${best.nll.toFixed(2)}, at ` +
    `${best.components} components (${best.effective_components.toFixed(1)} effective, ${best.modes ?? 'unknown'} modes ` +
    `of the density); the UMAP embedding has an area of ${umap_area.toFixed(0)}`
  );
}
