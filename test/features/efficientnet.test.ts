import { readFileSync } from 'node:fs';
import { parse } from 'csv-parse/sync';
import { beforeAll, expect, it } from '@jest/globals';
import sharp from 'sharp';
import { startEngine, tf, type Tensor4D } from '../../src/engine/index.js';
import { efficientNetLite0 } from '../../src/features/efficientnet.js';
import { loadEfficientNet } from '../../src/features/efficientnet-lite0.js';
import { readWeights } from '../../src/io/index.js';
import { describeWithShared, SHARED } from '../helpers/shared.js';

beforeAll(async () => {
  await startEngine();
});

/** The middle 224 × 224 of a photograph whose shorter side is 256. */
const middle = (path: string): Promise<Uint8Array> =>
  sharp(path)
    .resize(256, 256, { fit: 'cover', kernel: 'cubic' })
    .extract({ left: 16, top: 16, width: 224, height: 224 })
    .toColourspace('srgb')
    .removeAlpha()
    .raw()
    .toBuffer();

describeWithShared('weights/efficientnet-lite0', 'EfficientNet-Lite0’s published weights', () => {
  it('name nearly every photograph of the sample within five guesses', async () => {
    const path = `${SHARED}/weights/efficientnet-lite0/efficientnet_lite0.safetensors`;
    const params = loadEfficientNet(path, await readWeights(path));
    const folder = `${SHARED}/data/imagenet-sample`;
    const labels = parse<Record<string, string>>(readFileSync(`${folder}/labels.csv`, 'utf8'), { columns: true });
    const photos = labels.filter((_, i) => i % 3 === 0);
    let first = 0;
    let fifth = 0;
    for (let from = 0; from < photos.length; from += 25) {
      const part = photos.slice(from, from + 25);
      const pixels = await Promise.all(part.map(({ file }) => middle(`${folder}/${file}`)));
      const best = tf.tidy(() => {
        const batch = tf.tensor4d(
          pixels.flatMap(bytes => Array.from(bytes)),
          [pixels.length, 224, 224, 3],
        );
        const { logits } = efficientNetLite0(params, batch.sub(127).div<Tensor4D>(128));
        return tf.topk(logits, 5).indices.arraySync();
      });
      part.forEach(({ imagenet_index: index }, row) => {
        if (best[row][0] === Number(index)) first++;
        if (best[row].includes(Number(index))) fifth++;
      });
    }
    tf.dispose(params);
    expect(photos).toHaveLength(75);
    expect(first).toBeGreaterThanOrEqual(62);
    expect(fifth).toBeGreaterThanOrEqual(71);
  });
});
