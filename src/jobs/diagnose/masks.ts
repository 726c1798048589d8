import { existsSync } from 'node:fs';
import { concatenated, UserError, type Log } from '../../base/index.js';
import { openImages } from '../../data/index.js';
import type { Grid, Masks } from '../../diagnose/diffusability/index.js';
import { gatherParts, type OfRanks } from '../../distributed/index.js';
import { elementCount, listed, openNpz, sha256OfFile } from '../../io/index.js';

/** Which parts of images show the foreground, image by image: whatever is not 0. */
export interface MaskImages {
  path: string;
  count: number;
  digest: string;
  at(index: number): Promise<MaskImage>;
  close(): Promise<void>;
}

interface MaskImage {
  name: string;
  width: number;
  height: number;
  /** [height, width]; anything but 0 is foreground. */
  data: ArrayLike<number>;
}

/**
 * Opens masks: a folder of images in the order of the latents' images, or a .npz with `masks` (or its only array) of
 * shape [n, height, width]. @throws UserError for what is neither.
 */
export async function openMasks(path: string, limit: number | undefined, log: Log): Promise<MaskImages> {
  if (!existsSync(path)) throw new UserError(`--masks ${path}: no such file or folder`);
  return path.endsWith('.npz') ? await masksInArchive(path, limit) : await masksInFolder(path, limit, log);
}

async function masksInFolder(path: string, limit: number | undefined, log: Log): Promise<MaskImages> {
  const images = await openImages(path, { limit, strict: true, log });
  return {
    path,
    count: images.count,
    digest: images.digest,
    async at(index) {
      const { width, height, data } = await images.read(index);
      const shown = Uint8Array.from(
        { length: width * height },
        (_, i) => data[3 * i] | data[3 * i + 1] | data[3 * i + 2],
      );
      return { name: images.imageName(index), width, height, data: shown };
    },
    close: () => images.close(),
  };
}

const ARRAY = 'masks';

async function masksInArchive(path: string, limit: number | undefined): Promise<MaskImages> {
  const npz = await openNpz(path);
  const name = npz.names.includes(ARRAY) ? ARRAY : npz.names.length === 1 ? npz.names[0] : undefined;
  if (name === undefined) {
    await npz.close();
    throw new UserError(`${path}: holds ${listed(npz.names) || 'nothing'}; masks are expected as '${ARRAY}'`);
  }
  const file = await npz.open(name);
  const [count, ...shape] = file.shape;
  const [height, width] = shape.filter((side, axis) => axis < 2 || side !== 1);
  if (shape.length < 2 || elementCount(shape) !== height * width)
    throw new UserError(`${path}: '${name}' has shape [${file.shape.join(', ')}]; masks are [n, height, width]`);
  return {
    path,
    count: Math.min(count, limit ?? count),
    digest: await sha256OfFile(path),
    async at(index) {
      const { data } = await file.readRows(index, index + 1);
      return { name: `${path}#${name}[${index}]`, width, height, data: Float32Array.from(data, Number) };
    },
    async close() {
      await file.close();
      await npz.close();
    },
  };
}

/**
 * Masks of `count` images on their grid of tokens: a token shows the foreground where any of its pixels does (max
 * pooling). Each of several ranks reads those of its share. @throws UserError for another number of masks, and for one that
 * the grid does not divide.
 */
export async function pooledMasks(
  masks: MaskImages,
  count: number,
  grid: Grid,
  { communicator, share: { start, end } }: OfRanks,
): Promise<Masks> {
  if (masks.count !== count)
    throw new UserError(
      `--masks ${masks.path}: has ${masks.count} masks for ${count} latents; both must be of the same images in the same order`,
    );
  const [rows, columns] = grid;
  const tokens = rows * columns;
  const own = new Uint8Array((end - start) * tokens);
  for (let image = start; image < end; image++) {
    const mask = await masks.at(image);
    const [down, across] = [mask.height / rows, mask.width / columns];
    if (!Number.isInteger(down) || !Number.isInteger(across))
      throw new UserError(
        `${mask.name}: is ${mask.width}×${mask.height}, which is no multiple of the latents' ${columns}×${rows} tokens; ` +
          'crop and resize masks as the images were',
      );
    for (let y = 0; y < mask.height; y++)
      for (let x = 0; x < mask.width; x++)
        if (mask.data[y * mask.width + x] !== 0)
          own[(image - start) * tokens + Math.floor(y / down) * columns + Math.floor(x / across)] = 1;
  }
  return { tokens, data: concatenated(Uint8Array, await gatherParts(communicator, own)) };
}
