import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import {
  decodeImage,
  encodePng,
  encodeWebp,
  imagesOfGrid,
  openNpz,
  readJson,
  readRunConfig,
  type RawImage,
} from '../io/index.js';
import type { PageSection, Pictures, Sample } from '../report/index.js';
import type { DiffusionRun, StudySpace } from './plan.js';

/** Images in a row of the grids that trainings write, rows of originals above rows of reconstructions. */
const COLUMNS = 8;
/** Pixels of images on the page: more small ones than large ones. */
const PIXELS = 2 ** 19;
const MOST = 16;
/** Images up to this size are shown without loss. */
const SMALL = 64;

/** Reconstructions and samples of the first seed's latent spaces. */
export async function pictureSections(spaces: StudySpace[]): Promise<PageSection[]> {
  const first = spaces.filter(({ seed }) => seed === spaces[0].seed);
  const sections = [
    { heading: 'Reconstructions', pictures: await reconstructions(first) },
    { heading: 'Samples', pictures: await samples(first) },
  ];
  return sections.filter(({ pictures }) => pictures.length > 0);
}

interface Pairs {
  name: string;
  originals: RawImage[];
  images: RawImage[];
}

/** Side by side as far as the trainings looked at the same images. */
async function reconstructions(spaces: StudySpace[]): Promise<Pictures[]> {
  const found = await Promise.all(spaces.map(async ({ tokenizer, decoder }) => pairsOf(tokenizer, decoder)));
  const groups = new Map<string, Pairs[]>();
  for (const pairs of found.filter(pairs => pairs !== undefined)) {
    const key = digestOf(pairs.originals);
    groups.set(key, [...(groups.get(key) ?? []), pairs]);
  }
  return await Promise.all(
    [...groups.values()].map(async (group): Promise<Pictures> => {
      const [{ originals }] = group;
      const shown = <T>(images: T[]): T[] => images.slice(0, shownOf(originals[0]));
      return {
        kind: 'reconstructions',
        caption: `Held-out images and their reconstructions after training${lossNote(originals[0])}`,
        originals: await encoded(shown(originals)),
        sources: await Promise.all(
          group.map(async ({ name, images }) => ({ name, images: await encoded(shown(images)) })),
        ),
      };
    }),
  );
}

async function pairsOf(name: string, run: string | undefined): Promise<Pairs | undefined> {
  const path = run === undefined ? undefined : await newestGrid(join(run, 'reconstructions'));
  if (path === undefined) return undefined;
  const cells = imagesOfGrid(await decodeImage(path), { columns: COLUMNS });
  if (cells === undefined) return undefined;
  // Rows of originals and of reconstructions take turns; the last may not be full.
  const columns = Math.min(COLUMNS, cells.length / 2);
  const isOriginal = (_: RawImage, i: number): boolean => Math.floor(i / columns) % 2 === 0;
  const originals = cells.filter(isOriginal);
  const images = cells.filter((cell, i) => !isOriginal(cell, i));
  const isFilled = (_: RawImage, k: number): boolean => !(isWhite(originals[k]) && isWhite(images[k]));
  return { name, originals: originals.filter(isFilled), images: images.filter(isFilled) };
}

function digestOf(images: RawImage[]): string {
  const hash = createHash('sha256');
  for (const { data } of images) hash.update(data);
  return hash.digest('hex');
}

const isWhite = ({ data }: RawImage): boolean => data.every(value => value === 255);

async function newestGrid(folder: string): Promise<string | undefined> {
  if (!existsSync(folder)) return undefined;
  const step = (file: string): number => Number(/\d+/.exec(file)?.[0] ?? -1);
  const newest = (await readdir(folder)).sort((a, b) => step(a) - step(b)).at(-1);
  return newest === undefined ? undefined : join(folder, newest);
}

const sampleCard = z.object({ model: z.string(), guidance: z.object({ scale: z.number() }) });

/** By class and guidance: of every folder beside the study's own samples that holds samples of the same model. */
async function samples(spaces: StudySpace[]): Promise<Pictures[]> {
  const sources: { name: string; images: Sample[] }[] = [];
  for (const { tokenizer, runs } of spaces) {
    const images = await samplesOf(runs[0]);
    if (images.length > 0) sources.push({ name: tokenizer, images });
  }
  if (sources.length === 0) return [];
  return [
    { kind: 'samples', caption: 'The first samples of each class, in the order in which they were drawn', sources },
  ];
}

async function samplesOf({ folder, samples }: DiffusionRun): Promise<Sample[]> {
  const beside = dirname(samples);
  if (!existsSync(beside)) return [];
  const names = (await readdir(beside)).filter(name => existsSync(join(beside, name, 'samples.json'))).sort();
  const byGuidance = new Map<number, Sample[]>();
  for (const name of names) {
    const card = sampleCard.safeParse(await readJson(join(beside, name, 'samples.json'))).data;
    if (!card || resolve(card.model) !== resolve(folder) || byGuidance.has(card.guidance.scale)) continue;
    byGuidance.set(card.guidance.scale, await readSamples(join(beside, name), folder, card.guidance.scale));
  }
  return [...byGuidance.values()].flat();
}

async function readSamples(folder: string, run: string, guidance: number): Promise<Sample[]> {
  const files = (await readdir(folder)).filter(name => /^\d+\.png$/.test(name)).sort();
  if (files.length === 0) return [];
  const classes = await classesOf(folder, run);
  const first = await decodeImage(join(folder, files[0]));
  const shown = await Promise.all(files.slice(0, shownOf(first)).map(async name => decodeImage(join(folder, name))));
  const images = await encoded(shown);
  return images.map((image, k) => ({ image, guidance, class: classes?.[Number.parseInt(files[k], 10)] }));
}

/** Names of the samples' classes, or their numbers. */
async function classesOf(folder: string, run: string): Promise<string[] | undefined> {
  const path = join(folder, 'samples.npz');
  if (!existsSync(path)) return undefined;
  const archive = await openNpz(path);
  try {
    if (!archive.names.includes('arr_1')) return undefined;
    const { config } = await readRunConfig(run);
    const names = (config.network as { classes?: string[] } | undefined)?.classes;
    const { data } = await archive.read('arr_1');
    return Array.from(data as ArrayLike<number | bigint>, label => names?.[Number(label)] ?? `class ${label}`);
  } finally {
    await archive.close();
  }
}

/** How many images of this size are shown. */
const shownOf = ({ width, height }: RawImage): number =>
  Math.max(4, Math.min(MOST, Math.floor(PIXELS / (width * height))));

const encoded = (images: RawImage[]): Promise<Uint8Array[]> =>
  Promise.all(images.map(image => (image.width > SMALL ? encodeWebp(image) : encodePng(image))));

const lossNote = ({ width }: RawImage): string => (width > SMALL ? ' (as WebP of quality 90)' : '');
