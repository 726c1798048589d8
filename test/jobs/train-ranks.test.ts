import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, it } from '@jest/globals';
import { parse } from 'csv-parse/sync';
import { silentLog } from '../../src/base/index.js';
import { alone, type Communicator } from '../../src/distributed/index.js';
import { RandomStream, startEngine } from '../../src/engine/index.js';
import { readRun, readSafetensors, writeNpz, writeSafetensors } from '../../src/io/index.js';
import { trainModel } from '../../src/jobs/train/index.js';
import { arraysFrom } from '../../src/nn/index.js';
import type { TrainingSettings } from '../../src/training/index.js';
import { asRanks } from '../helpers/ranks.js';
import { tempFolder } from '../helpers/temp.js';
import { tinyDino } from '../helpers/tiny-dino.js';

const ENCODER = fileURLToPath(new URL('../../fixtures/golden/rae/authors/encoder', import.meta.url));
const folder = tempFolder();
const [dino, latents] = [join(folder, 'dino.safetensors'), join(folder, 'latents.npz')];
let count = 0;

beforeAll(async () => {
  await startEngine();
  await writeSafetensors(dino, await arraysFrom(tinyDino()));
  const data = new RandomStream(1).normals(24 * 4 * 3);
  await writeNpz(latents, {
    latents: { shape: [24, 4, 3], dtype: 'float32', data },
    labels: { shape: [24], dtype: 'int32', data: Int32Array.from({ length: 24 }, (_, i) => i % 3) },
  });
});

const VIT = {
  data: 'synthetic:scenes?count=12&size=16',
  imageSize: 16,
  patchSize: 8,
  latentChannels: 4,
  width: 16,
  depth: 1,
  heads: 2,
  evaluationImages: 2,
};
const MAETOK = { ...VIT, latentTokens: 3, auxWidth: 8, auxDepth: 1 };
const RAE = { encoder: ENCODER, data: VIT.data, width: 12, depth: 1, heads: 2, imageSize: 16, evaluationImages: 2 };
const LATENTS = { latents, evaluationSamples: 2, bins: 2 };

type Case = [what: string, model: string, options: Record<string, unknown>, settings: Partial<TrainingSettings>];

const CASES: Case[] = [
  ['rows of images, masks and targets', 'maetok', MAETOK, {}],
  ['images of two sides', 'ae', { ...VIT, sizes: [16, 24] }, { accumulate: 3, batchSize: 4 }],
  ['rows of a Gaussian posterior', 'kl-vae', { ...VIT, perceptual: 1 }, { batchSize: 6 }],
  [
    'batches that a PatchGAN judges',
    'maetok',
    { ...MAETOK, disc: 'patchgan', discWidth: 4, discLayers: 1 },
    { accumulate: 2, batchSize: 3 },
  ],
  [
    'batches that heads on a DINO ViT judge',
    'maetok',
    { ...MAETOK, disc: 'dino', discBackbone: dino, discConsistency: 0 },
    { accumulate: 2, batchSize: 1 },
  ],
  ['rows and statistics of latents', 'rae-decoder', RAE, {}],
  ['batches and statistics of latents', 'rae-decoder', { ...RAE, noiseDistribution: 'half-normal' }, { accumulate: 2 }],
  ['batches of latents', 'lightningdit-tiny', LATENTS, { accumulate: 4 }],
  ['rows of latents, with their noise, times, labels and guidance', 'sit-tiny', { ...LATENTS, gft: true }, {}],
];

async function train([, model, options, settings]: Case, size: number): Promise<string> {
  const out = join(folder, `${count++}`);
  const order = {
    model,
    options,
    settings: { steps: 2, batchSize: 4, logEvery: 1, ema: 0, ...settings },
    out,
    command: [],
  };
  const one = async (communicator: Communicator): Promise<unknown> =>
    await trainModel(order, { communicator, log: silentLog, signal: new AbortController().signal });
  if (size === 1) await one(alone);
  else await asRanks(size, one);
  return out;
}

const losses = (out: string): Record<string, string>[] =>
  parse(readFileSync(join(out, 'metrics.csv'), 'utf8'), { columns: true });

/** Buffers of the model and of its discriminator. */
async function buffers(out: string): Promise<Record<string, Float32Array>> {
  const { checkpoint } = await readRun(out);
  const files = ['model', 'phase-discriminator'].map(name => join(checkpoint, `${name}.safetensors`));
  const arrays = await Promise.all(files.map(async file => await readSafetensors(file).catch(() => ({}))));
  const all = Object.entries(Object.assign({}, ...arrays) as Awaited<ReturnType<typeof readSafetensors>>);
  return Object.fromEntries(
    all
      .filter(([name]) => /running|weight_[uv]|lecam|_latents|seen/.test(name))
      .map(([name, { data }]) => [name, data as Float32Array]),
  );
}

it.each(CASES)('ranks that share %s train a model as one process does: %s', async (...one) => {
  const size = one[3].accumulate === 3 ? 3 : 2;
  const [found, expected] = [await train(one, size), await train(one, 1)];
  const [rows, alike] = [losses(expected), losses(found)];
  for (const column in rows[0]) {
    const values = (table: typeof rows): number[] => table.map(row => Number(row[column]));
    expect(values(alike)).toBeAllClose(values(rows), { rtol: 1e-5, atol: 5e-5 });
  }
  alike.forEach(({ loss }, i) => expect(Number(loss) / Number(rows[i].loss)).toBeCloseTo(1, 5));
  const [a, b] = [await buffers(found), await buffers(expected)];
  for (const name in b) expect(a[name]).toBeAllClose(b[name], { rtol: 1e-3, atol: 1e-5 });
});
