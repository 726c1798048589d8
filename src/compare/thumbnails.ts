import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isRecord } from '../base/index.js';
import { loadBatch, openImages } from '../data/index.js';
import { encodeWebp, readJson, stackedImages } from '../io/index.js';
import type { PageChart, Table } from '../report/index.js';
import type { StudySpace } from './plan.js';
import type { Study } from './study.js';

const SIDE = 32;
/** Pictures on the page at most: a third of a megabyte. */
const MOST = 500;

/**
 * Pictures of the images behind the points of an embedding, for the first rows that it holds. None unless the study has
 * the images and every one of them has its row, so that row k is image k.
 */
export async function thumbnailsOf(
  { data }: Study,
  [space]: StudySpace[],
  embedding: Table,
): Promise<PageChart['thumbnails']> {
  const rows = [...new Set(embedding.rows.map(({ row }) => Number(row)))].slice(0, MOST);
  const path = join(space.latents, 'latents.json');
  if (data === undefined || rows.length === 0 || !existsSync(path)) return undefined;
  const latents = await readJson(path);
  const dataset = await openImages(data);
  try {
    if (!isRecord(latents) || latents.count !== dataset.count) return undefined;
    const { images: data, indices } = await loadBatch(dataset, rows, { size: SIDE, crop: 'center', flip: false });
    const pictures = stackedImages({ shape: [indices.length, SIDE, SIDE, 3], data });
    const images = await Promise.all(
      pictures.map(async (picture, k) => [String(indices[k]), await encodeWebp(picture)]),
    );
    return { column: 'row', images: Object.fromEntries(images) as Record<string, Uint8Array> };
  } finally {
    await dataset.close();
  }
}
