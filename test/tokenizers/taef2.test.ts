import { readFileSync } from 'node:fs';
import { beforeAll, expect, it } from '@jest/globals';
import sharp from 'sharp';
import { openImages } from '../../src/data/index.js';
import { startEngine, tf } from '../../src/engine/index.js';
import { openSafetensors, readSafetensors } from '../../src/io/index.js';
import { openTokenizer, type Tokenizer } from '../../src/tokenizers/index.js';
import { describeWithShared, SHARED } from '../helpers/shared.js';

beforeAll(async () => {
  await startEngine();
});

const WEIGHTS = `${SHARED}/weights/taesd/taef2_encoder.safetensors`;

async function withTaef2<T>(imageSize: number, work: (tokenizer: Tokenizer) => Promise<T>): Promise<T> {
  const tokenizer = await openTokenizer(WEIGHTS, { imageSize });
  return await work(tokenizer).finally(() => tokenizer.dispose());
}

/** 8-bit pixels, row by row, as images in [−1, 1]. */
const asImages = (pixels: ArrayLike<number>, count: number, size: number) =>
  tf.tensor4d(
    Float32Array.from(pixels, v => v / 127.5 - 1),
    [count, size, size, 3],
  );

/** Peak signal-to-noise ratio of an image that went through the tokenizer, of pixels in [0, 1]. */
const reconstructionPsnr = (pixels: ArrayLike<number>, size: number): Promise<number> =>
  withTaef2(size, async tokenizer => {
    const image = asImages(pixels, 1, size);
    const decoded = await tokenizer.decode(await tokenizer.encode(image));
    const [mse] = tf.tidy(() => decoded.sub(image).div(2).square().mean().dataSync());
    return -10 * Math.log10(mse);
  });

const PHOTOS = [
  { name: 'irish_terrier', file: 'n02093991/n02093991_Irish_terrier.JPEG', psnr: 27.45 },
  { name: 'ocarina', file: 'n03840681/n03840681_ocarina.JPEG', psnr: 28.77 },
];

describeWithShared('golden/taesd', 'taef2 on photographs', () => {
  it.each(PHOTOS)('$name comes back at the recorded $psnr dB', async ({ name, psnr }) => {
    const recorded = await readSafetensors(`${SHARED}/golden/taesd/photo-${name}/io.safetensors`);
    const { data, shape } = recorded['input.image_u8'];
    const [, , size] = shape;
    // Recorded as [1, 3, h, w].
    const pixels = Uint8Array.from({ length: data.length }, (_, i) =>
      Number(data[(i % 3) * size * size + Math.floor(i / 3)]),
    );
    expect(await reconstructionPsnr(pixels, size)).toBeCloseTo(psnr, 2);
  });

  it.each(PHOTOS)('$name, read from its JPEG here, by another Lanczos, within 0.3 dB', async ({ file, psnr }) => {
    const photo = sharp(`${SHARED}/data/imagenet-sample/images/${file}`);
    const square = photo.resize(128, 128, { fit: 'cover', kernel: 'lanczos3' });
    const pixels = await square.toColourspace('srgb').removeAlpha().raw().toBuffer();
    expect(Math.abs((await reconstructionPsnr(pixels, 128)) - psnr)).toBeLessThan(0.3);
  });
});

describeWithShared('data/features/cifar10-6k-taef2-latents.safetensors', 'taef2 on small images', () => {
  it('gives the latents that PyTorch gave', async () => {
    const COUNT = 24;
    const { val: files } = JSON.parse(readFileSync(`${SHARED}/data/features/cifar10-6k-files.json`, 'utf8')) as {
      val: string[];
    };
    const data = await openImages(`${SHARED}/data/cifar10-6k/val`);
    const pixels = await Promise.all(files.slice(0, COUNT).map((_, i) => data.read(i)));
    await data.close();
    const file = await openSafetensors(`${SHARED}/data/features/cifar10-6k-taef2-latents.safetensors`);
    const recorded = await file.readRows('val.latents', 0, COUNT);
    await file.close();
    const ours = await withTaef2(32, async tokenizer => {
      const images = asImages(
        pixels.flatMap(({ data }) => Array.from(data)),
        COUNT,
        32,
      );
      const latents = await tokenizer.encode(images);
      return tf.transpose(latents, [0, 2, 1]).dataSync();
    });
    // Stored as float16: three decimal digits.
    expect(ours).toBeAllClose(recorded.data as Float32Array, { rtol: 1e-3, atol: 2e-3 });
  });
});
