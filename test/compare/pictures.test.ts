import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { pictureSections } from '../../src/compare/pictures.js';
import type { StudySpace } from '../../src/compare/plan.js';
import {
  decodeImage,
  encodePng,
  imageGrid,
  imagesOfGrid,
  writeImageGrid,
  writeNpz,
  type RawImage,
} from '../../src/io/index.js';
import type { Reconstructions, Samples } from '../../src/report/page/page.js';
import { tempFolder } from '../helpers/temp.js';

const folder = tempFolder();
const SIDE = 6;
const image = (grey: number): RawImage => ({
  width: SIDE,
  height: SIDE,
  data: new Uint8Array(SIDE * SIDE * 3).fill(grey),
});

it.each([1, 3, 8, 11])('a grid of %i images is cut into them again', n => {
  const images = Array.from({ length: n }, (_, k) => image(10 * k));
  const cells = imagesOfGrid(imageGrid(images, { columns: 8 }), { columns: 8 })!;
  expect(cells.slice(0, n)).toEqual(images);
  expect(cells.slice(n)).toEqual(cells.slice(n).map(() => image(255)));
});

it('a picture without white lines between square parts is no grid', () => {
  expect(imagesOfGrid({ width: 9, height: 8, data: new Uint8Array(216) }, { columns: 8 })).toBeUndefined();
});

/** A latent space of a study whose training left a grid of ten originals above their reconstructions. */
async function space(out: string, tokenizer: string, grey: number): Promise<StudySpace> {
  const decoder = join(out, 'tokenizers', tokenizer);
  mkdirSync(join(decoder, 'reconstructions'), { recursive: true });
  const row = (from: number, n: number, shift: number): RawImage[] =>
    Array.from({ length: 8 }, (_, k) => image(k < n ? from + k + shift : 255));
  const cells = [...row(10, 8, 0), ...row(10, 8, grey), ...row(18, 2, 0), ...row(18, 2, grey)];
  const data = Buffer.concat(cells.map(cell => cell.data));
  const shape = [cells.length, SIDE, SIDE, 3];
  await writeImageGrid(join(decoder, 'reconstructions', 'step-20.png'), { shape, data }, { columns: 8 });
  const [model, samples] = [join(out, 'diffusion', tokenizer), join(out, 'samples', tokenizer)];
  const run = { name: tokenizer, seed: 0, folder: model, samples, group: '0' };
  return {
    ...{ tokenizer, family: undefined, seed: 0, name: tokenizer, test: undefined },
    ...{ latents: join(out, 'latents', tokenizer), decoder, opening: {}, runs: [run] },
  };
}

async function draw(drawn: string, model: string, scale: number): Promise<void> {
  mkdirSync(drawn, { recursive: true });
  writeFileSync(join(drawn, 'samples.json'), JSON.stringify({ model, guidance: { scale } }));
  for (const k of [0, 1]) writeFileSync(join(drawn, `00000${k}.png`), await encodePng(image(k)));
  await writeNpz(join(drawn, 'samples.npz'), {
    arr_1: { shape: [2], dtype: 'int64', data: BigInt64Array.of(1n, 0n) },
  });
}

it('the same images stand beside the reconstructions of all latent spaces', async () => {
  const out = join(folder, 'reconstructed');
  const spaces = [await space(out, 'mae', 100), await space(out, 'ae', 50)];
  const [{ pictures }] = await pictureSections(spaces);
  const [{ originals, sources }] = pictures as Reconstructions[];
  expect(originals).toHaveLength(10);
  expect(sources.map(({ name }) => name)).toEqual(['mae', 'ae']);
  expect(await decodeImage(originals[9])).toEqual(image(19));
  expect(await decodeImage(sources[1].images[9])).toEqual(image(69));
});

it('samples of one model at several guidances stand together, with the names of their classes', async () => {
  const out = join(folder, 'sampled');
  const mae = await space(out, 'mae', 0);
  const model = mae.runs[0].folder;
  mkdirSync(model, { recursive: true });
  writeFileSync(join(model, 'config.yaml'), 'network: { classes: [fox, owl] }\n');
  writeFileSync(join(model, 'run.json'), '{}');
  await draw(join(out, 'samples', 'mae'), model, 2);
  await draw(join(out, 'samples', 'unguided'), model, 1);
  await draw(join(out, 'samples', 'other'), join(out, 'diffusion', 'other'), 3);
  const [, { pictures }] = await pictureSections([mae]);
  const [{ images }] = (pictures as Samples[])[0].sources;
  expect(images.map(one => [one.guidance, one.class])).toEqual([
    [2, 'owl'],
    [2, 'fox'],
    [1, 'owl'],
    [1, 'fox'],
  ]);
});
