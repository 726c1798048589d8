import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { openImages } from '../../src/data/index.js';
import { RandomStream, startEngine, tf } from '../../src/engine/index.js';
import { extractLatents, type ExtractSettings } from '../../src/jobs/extract.js';
import { holdFolder, readSafetensors } from '../../src/io/index.js';
import { openLatents } from '../../src/latents/index.js';
import { silentLog } from '../../src/base/index.js';
import { openTokenizer, type Tokenizer } from '../../src/tokenizers/index.js';
import { maetok } from '../helpers/cli.js';
import { asRanks } from '../helpers/ranks.js';
import { tempFolder } from '../helpers/temp.js';

const GOLDEN = fileURLToPath(new URL('../../fixtures/golden/convolutional', import.meta.url));
const folder = tempFolder();
const vae = join(folder, 'vae');
const SCENES = 'synthetic:scenes?count=11&size=16';

beforeAll(async () => {
  await startEngine();
  mkdirSync(vae);
  const { parameters } = JSON.parse(readFileSync(`${GOLDEN}/sdvae-quant/config.json`, 'utf8')) as {
    parameters: unknown;
  };
  writeFileSync(join(vae, 'config.json'), JSON.stringify(parameters));
  copyFileSync(`${GOLDEN}/sdvae-quant/weights.safetensors`, join(vae, 'model.safetensors'));
});

let made = 0;
const out = (): string => join(folder, `latents-${made++}`);

const settings: ExtractSettings = { spec: vae, flips: false, precision: 'f32', seed: 0, batchSize: 4 };

async function withTokenizer<T>(work: (tokenizer: Tokenizer) => Promise<T>): Promise<T> {
  const tokenizer = await openTokenizer(vae, { imageSize: 16 });
  try {
    return await work(tokenizer);
  } finally {
    tokenizer.dispose();
  }
}

async function extracted(changed: Partial<ExtractSettings>, data = SCENES, signal = new AbortController().signal) {
  const at = out();
  const done = await withTokenizer(async tokenizer =>
    extractLatents(
      tokenizer,
      await openImages(data, { log: silentLog }),
      at,
      { ...settings, ...changed },
      { log: silentLog, signal },
    ),
  );
  return { at, done };
}

/** A signal that is aborted once so many images are done, and the log from which it learns of them. */
function stoppedAfter(images: number) {
  const stopping = new AbortController();
  const update = (done: number): void => {
    if (done >= images) stopping.abort();
  };
  return { signal: stopping.signal, log: { ...silentLog, progress: () => ({ update, stop: () => undefined }) } };
}

async function rowsOf(path: string, flips = false): Promise<Float32Array> {
  const latents = await openLatents(path, { flips });
  const rows = await latents.read(Array.from({ length: latents.count }, (_, i) => i));
  await latents.close();
  return rows;
}

describe('maetok extract', () => {
  const command = (at: string, ...more: string[]) =>
    maetok('extract', '--tokenizer', vae, '--image-size', '16', '--data', SCENES, '--out', at, '--quiet', ...more);

  it('writes LightningDiT’s shards with labels, and says in latents.json what they hang on', async () => {
    const at = out();
    expect(await command(at, '--flips', '--posterior', 'mode')).toMatchObject({ code: 0, stdout: '' });
    const shard = await readSafetensors(join(at, 'latents_rank00_shard000.safetensors'));
    expect(shard.latents.shape).toEqual([11, 3, 4, 4]);
    expect(shard.latents_flip.shape).toEqual([11, 3, 4, 4]);
    expect(shard.labels).toMatchObject({ shape: [11], dtype: 'int64' });
    const json = JSON.parse(readFileSync(join(at, 'latents.json'), 'utf8')) as { meta: Record<string, unknown> };
    expect(json).toMatchObject({ count: 11, tokens: 16, channels: 3, grid: [4, 4], flips: true });
    expect(json.meta).toMatchObject({
      tokenizer: { name: 'kl-vae', spec: vae, digest: expect.stringMatching(/^[0-9a-f]{64}$/) },
      data: { count: 11, digest: expect.any(String) },
      image_size: 16,
      crop: 'center (ADM)',
      latent_scale: 0.18215,
      posterior: 'mode',
      precision: 'f32',
    });
  });

  it('refuses to overwrite, and takes the first --limit images', async () => {
    const at = out();
    expect((await command(at, '--limit', '3')).code).toBe(0);
    expect((await openLatents(at)).count).toBe(3);
    const again = await command(at);
    expect(again).toMatchObject({ code: 1, stdout: '' });
    expect(again.stderr).toMatch(/already holds latents; .*--force/);
    expect((await command(at, '--force')).code).toBe(0);
    expect((await openLatents(at)).count).toBe(11);
  });

  it('an option that is wrong is one line and exit 2', async () => {
    const wrong = await command(out(), '--batch-size', 'many');
    expect(wrong).toMatchObject({ code: 2, stdout: '' });
    expect(wrong.stderr.trim().split('\n')).toHaveLength(1);
    const absent = await maetok('extract', '--tokenizer', join(folder, 'none.pt'), '--data', SCENES, '--out', out());
    expect(absent).toMatchObject({ code: 2 });
    expect(absent.stderr).toContain('none.pt');
  });
});

describe('the latents', () => {
  it('are the tokenizer’s, image by image, and the flipped ones those of the mirrored images', async () => {
    const { at } = await extracted({ flips: true, posterior: 'mode' });
    const rows = await rowsOf(at, true);
    const data = await openImages(SCENES);
    await withTokenizer(async tokenizer => {
      const { data: pixels } = await data.read(7);
      const image = tf.tensor4d(
        Float32Array.from(pixels, v => v / 127.5 - 1),
        [1, 16, 16, 3],
      );
      const plain = await tokenizer.encode(image);
      const mirrored = await tokenizer.encode(tf.reverse(image, 2));
      expect(rows.subarray(7 * 48, 8 * 48)).toBeAllClose(await plain.data(), { rtol: 1e-5 });
      expect(rows.subarray((11 + 7) * 48, (11 + 8) * 48)).toBeAllClose(await mirrored.data(), { rtol: 1e-5 });
    });
  });

  it('by default sample the posterior as the system’s own pipeline does: by seed, whatever the batch', async () => {
    const [a, b, c] = await Promise.all(
      [{ batchSize: 4 }, { batchSize: 3 }, { seed: 1 }].map(async changed => rowsOf((await extracted(changed)).at)),
    );
    expect(b).toBeAllClose(a, { rtol: 1e-5 });
    expect(c).not.toBeAllClose(a, { rtol: 1e-2 });
    await withTokenizer(async tokenizer => {
      const noise = new RandomStream(0).for('posterior').at(0, 7).normals(48);
      const { data: pixels } = await (await openImages(SCENES)).read(7);
      const image = tf.tensor4d(
        Float32Array.from(pixels, v => v / 127.5 - 1),
        [1, 16, 16, 3],
      );
      const sample = await tokenizer.encode(image, { noise: tf.tensor3d(noise, [1, 16, 3]) });
      expect(a.subarray(7 * 48, 8 * 48)).toBeAllClose(await sample.data(), { rtol: 1e-5 });
    });
  });
});

describe('going on', () => {
  it('an interrupted extraction resumes to the same latents', async () => {
    const whole = await rowsOf((await extracted({})).at);
    const at = out();
    await withTokenizer(async tokenizer => {
      const data = await openImages(SCENES);
      await expect(extractLatents(tokenizer, data, at, settings, stoppedAfter(4))).rejects.toMatchObject({
        message: expect.stringMatching(/interrupted at 4 of 11 images; .*--resume/),
        exitCode: 130,
      });
      await expect(openLatents(at)).rejects.toThrow(/unfinished/);
      const done = await extractLatents(
        tokenizer,
        data,
        at,
        { ...settings, resume: true },
        { log: silentLog, signal: new AbortController().signal },
      );
      expect(done).toMatchObject({ rows: 11, skipped: 0 });
    });
    expect(await rowsOf(at)).toBeAllClose(whole, { rtol: 1e-6 });
    expect(readdirSync(at).sort()).toEqual(['latents.json', 'latents_rank00_shard000.safetensors']);
  });

  it('a folder that another process extracts into is refused', async () => {
    const at = out();
    await holdFolder(at, {}, () =>
      withTokenizer(async tokenizer => {
        const second = extractLatents(tokenizer, await openImages(SCENES), at, settings, {
          log: silentLog,
          signal: new AbortController().signal,
        });
        await expect(second).rejects.toThrow(/in use by process \d+ .*another --out$/);
      }),
    );
  });

  it('resuming other work is refused, and says what differs', async () => {
    const { at } = await extracted({});
    await withTokenizer(async tokenizer => {
      const again = extractLatents(
        tokenizer,
        await openImages(SCENES),
        at,
        { ...settings, seed: 5, resume: true },
        { log: silentLog, signal: new AbortController().signal },
      );
      await expect(again).rejects.toThrow(/--resume needs the original options/);
    });
  });

  it('images that cannot be read are left out, noted, and do not upset the order when resuming', async () => {
    const images = join(folder, 'images');
    expect((await maetok('data', SCENES, '--out', images, '--quiet')).code).toBe(0);
    const files = readdirSync(images, { recursive: true, encoding: 'utf8' })
      .filter(name => name.endsWith('.png'))
      .sort();
    writeFileSync(join(images, files[1]), 'no image');
    writeFileSync(join(images, files[6]), 'no image');
    const { at, done } = await extracted({}, images);
    expect(done).toMatchObject({ rows: 9, skipped: 2 });
    expect(JSON.parse(readFileSync(join(at, 'skipped.json'), 'utf8'))).toHaveLength(2);
    const resumed = out();
    await withTokenizer(async tokenizer => {
      const data = await openImages(images, { log: silentLog });
      const first = extractLatents(tokenizer, data, resumed, settings, stoppedAfter(4));
      await expect(first).rejects.toThrow(/interrupted at 4/);
      await extractLatents(
        tokenizer,
        data,
        resumed,
        { ...settings, resume: true },
        { log: silentLog, signal: new AbortController().signal },
      );
    });
    expect(await rowsOf(resumed)).toBeAllClose(await rowsOf(at), { rtol: 1e-6 });
    expect(existsSync(join(resumed, 'skipped.json'))).toBe(true);
  });
});

describe('several ranks', () => {
  const data = async (spec = SCENES) => await openImages(spec, { log: silentLog });
  const never = new AbortController().signal;

  /** Everything that a folder says of its latents, whatever the shards are. */
  async function contentOf(at: string) {
    const json = JSON.parse(readFileSync(join(at, 'latents.json'), 'utf8')) as Record<string, unknown>;
    const latents = await openLatents(at, { flips: true });
    await latents.close();
    return { ...json, shards: undefined, rows: await rowsOf(at, true), labels: latents.labels };
  }

  const byRanks = (
    size: number,
    at: string,
    changed: Partial<ExtractSettings> = {},
    spec = SCENES,
    contextOfRank = () => ({ log: silentLog, signal: never }),
  ) =>
    asRanks(size, communicator =>
      withTokenizer(async tokenizer =>
        extractLatents(
          tokenizer,
          await data(spec),
          at,
          { ...settings, flips: true, ...changed },
          { ...contextOfRank(), communicator },
        ),
      ),
    );

  it.each([2, 5])('%d of them give the latents of one, bit for bit', async size => {
    const at = out();
    const done = await byRanks(size, at);
    expect(done[size - 1]).toMatchObject({ rows: 11, skipped: 0 });
    expect(await contentOf(at)).toEqual(await contentOf((await extracted({ flips: true })).at));
  });

  it('three that were interrupted are gone on with by two, to the same bits, unreadable images aside', async () => {
    const images = join(folder, 'some-broken');
    expect((await maetok('data', SCENES, '--out', images, '--quiet')).code).toBe(0);
    const files = readdirSync(images, { recursive: true, encoding: 'utf8' })
      .filter(name => name.endsWith('.png'))
      .sort();
    for (const broken of [1, 2, 6]) writeFileSync(join(images, files[broken]), 'no image');
    const whole = (await extracted({ flips: true, batchSize: 2 }, images)).at;
    const at = out();
    const stopped = byRanks(3, at, { batchSize: 2 }, images, () => stoppedAfter(2));
    await expect(stopped).rejects.toMatchObject({
      message: expect.stringMatching(/^interrupted at 2 of \d images \(rank \d of 3\); .*--resume continues$/),
      exitCode: 130,
    });
    const done = await byRanks(2, at, { batchSize: 2, resume: true }, images);
    expect(done[0]).toMatchObject({ rows: 8, skipped: 3 });
    expect(await contentOf(at)).toEqual(await contentOf(whole));
    expect(readFileSync(join(at, 'skipped.json'), 'utf8')).toBe(readFileSync(join(whole, 'skipped.json'), 'utf8'));
  });

  it('that see different images are refused', async () => {
    const seen = [SCENES, 'synthetic:scenes?count=12&size=16'];
    const work = asRanks(2, communicator =>
      withTokenizer(async tokenizer =>
        extractLatents(tokenizer, await data(seen[communicator.rank]), out(), settings, {
          log: silentLog,
          signal: never,
          communicator,
        }),
      ),
    );
    await expect(work).rejects.toThrow(/the digest of scenes.* is not the same for all ranks: .* for rank 1/);
  });
});

it('frees every tensor', async () => {
  const before = tf.memory().numTensors;
  await extracted({ flips: true });
  expect(tf.memory().numTensors).toBe(before);
});
