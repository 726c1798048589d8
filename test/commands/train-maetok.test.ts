import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { parse as parseYaml } from 'yaml';
import { RandomStream, startEngine } from '../../src/engine/index.js';
import { readSafetensors, writeNpz, writeSafetensors } from '../../src/io/index.js';
import { arraysFrom } from '../../src/nn/index.js';
import { maetok } from '../helpers/cli.js';
import { rowsOf } from '../helpers/csv.js';
import { tempFolder } from '../helpers/temp.js';
import { tinyDino } from '../helpers/tiny-dino.js';

const folder = tempFolder();
let count = 0;
const fresh = (): string => join(folder, `run-${count++}`);

const DATA = { data: 'synthetic:scenes?count=24&size=16' };
const LOOP = { 'batch-size': 4, steps: 2, 'log-every': 1, 'evaluation-images': 2 };
const NETWORK = {
  'image-size': 16,
  'patch-size': 8,
  'latent-tokens': 3,
  'latent-channels': 4,
  width: 16,
  depth: 1,
  heads: 2,
  'aux-width': 8,
  'aux-depth': 1,
};

type Flags = Record<string, string | number | true>;
const typed = (flags: Flags): string[] =>
  Object.entries(flags).flatMap(([name, value]) => (value === true ? [`--${name}`] : [`--${name}`, String(value)]));
const run = (command: string[], flags: Flags) => maetok(...command, ...typed(flags), '--quiet');
const train = (out: string, flags: Flags = {}) =>
  run(['train', 'maetok'], { ...DATA, ...NETWORK, ...LOOP, ...flags, out });
const rows = (out: string, table = 'metrics'): Record<string, string>[] =>
  rowsOf(readFileSync(join(out, `${table}.csv`), 'utf8'));
const info = (out: string) =>
  JSON.parse(readFileSync(join(out, 'run.json'), 'utf8')) as Record<string, unknown> & { inputs: object };
const weights = async (out: string) => await readSafetensors(join(out, 'checkpoints', 'step-2', 'model.safetensors'));

beforeAll(async () => {
  await startEngine();
});

describe('the recipe of maetok train', () => {
  it('with a PatchGAN: logged, saved, resumed', async () => {
    const [whole, parts] = [fresh(), fresh()];
    const critic = {
      disc: 'patchgan',
      'disc-width': 4,
      'disc-layers': 1,
      perceptual: 0.5,
      schedule: 'constant',
    };
    const { code, stderr } = await train(whole, critic);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    const [first] = rows(whole);
    for (const column of ['mse', 'perceptual', 'adversarial', 'adversarial_weight', 'aux_hog', 'grad_norm'])
      expect(Number(first[column])).not.toBeNaN();
    for (const column of ['loss', 'adversarial', 'consistency', 'grad_norm'])
      expect(Number(first[`discriminator_${column}`])).not.toBeNaN();
    expect(stderr).toMatch(/no --lpips weights: the perceptual loss is gradient differences/);
    expect(info(whole).perceptual).toMatch(/gradient differences at 3 scales/);

    await train(parts, { ...critic, steps: 1 });
    await run(['train', 'maetok'], { out: parts, resume: true, steps: 2 });
    for (const file of ['model', 'phase-discriminator', 'optimizer']) {
      const saved = (out: string) => readFileSync(join(out, 'checkpoints', 'step-2', `${file}.safetensors`));
      expect(saved(parts).equals(saved(whole))).toBe(true);
    }
  });

  it('with heads on a DINO ViT from a file, non-saturating', async () => {
    const out = fresh();
    const path = join(folder, 'dino.safetensors');
    await writeSafetensors(path, await arraysFrom(tinyDino()));
    const { code, stderr } = await train(out, {
      disc: 'dino',
      'disc-backbone': path,
      'disc-loss': 'non-saturating',
      'disc-consistency': 0,
      steps: 1,
      'batch-size': 2,
    });
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(Number(rows(out)[0].discriminator_loss)).toBeGreaterThan(0);
    expect(info(out).inputs).toMatchObject({ discriminator: expect.stringMatching(/^[0-9a-f]{64}$/) });
  });

  it('then only the decoder, with the encoder frozen and the mask fading', async () => {
    const [first, second] = [fresh(), fresh()];
    await train(first, { ema: 0 });
    const { code, stderr } = await run(['train', 'maetok'], {
      ...DATA,
      ...LOOP,
      from: first,
      stage: 'decoder',
      ema: 0,
      out: second,
    });
    expect({ code, stderr }).toMatchObject({ code: 0 });
    const [before, after] = [await weights(first), await weights(second)];
    expect(after['quant_conv.weight'].data).toEqual(before['quant_conv.weight'].data);
    const last = 'decoder.to_pixel.model.weight';
    expect(after[last].data).not.toEqual(before[last].data);
    expect(Object.keys(after).filter(key => key.startsWith('decoder_hog'))).toEqual([]);
    expect(Object.keys(rows(second)[0])).not.toContain('aux_hog');
  });

  it('on two alternating sizes; the result takes images of either', async () => {
    const out = fresh();
    const { code, stderr } = await train(out, { sizes: '16,24', positions: 'absolute' });
    expect({ code, stderr }).toMatchObject({ code: 0 });
    const [validation] = rows(out, 'validation');
    for (const column of ['val_psnr', 'val_psnr_24', 'val_ssim']) expect(Number(validation[column])).not.toBeNaN();
    const data = 'synthetic:scenes?count=24&size=24';
    const larger = await run(['evaluate'], { tokenizer: out, 'image-size': 24, limit: 4, data });
    expect(larger).toMatchObject({ code: 0 });
    // A run is called after its folder.
    expect(larger.stdout.split('\n')[1]).toMatch(new RegExp(`^${basename(out)},psnr`));
  });

  it('predicts features of a teacher, and of latents that were extracted before', async () => {
    const out = fresh();
    const teacher = join(folder, 'teacher.yaml');
    const encoder = resolve('fixtures/golden/onnx/encoder.onnx');
    writeFileSync(teacher, `encoder: ${encoder}\nimage_size: 16\n`);
    const latents = join(folder, 'features.npz');
    const features = { shape: [22, 5, 3], dtype: 'float32' as const, data: new RandomStream(0).normals(22 * 5 * 3) };
    await writeNpz(latents, { latents: features });
    const { code, stderr } = await train(out, {
      aux: 'clip,seen',
      'aux-weight': 'clip=0.5,1',
      augmentation: 'none',
      teacher: `clip=onnx:${teacher},seen=${latents}`,
    });
    expect({ code, stderr }).toMatchObject({ code: 0 });
    for (const column of ['aux_clip', 'aux_seen'])
      expect(Math.abs(Number(rows(out)[1][column]))).toBeLessThanOrEqual(1);
    expect(Object.keys(info(out).inputs)).toEqual(['data', 'teacher clip', 'teacher seen']);
  });

  it('aligns image tokens with features', async () => {
    const out = fresh();
    const latents = join(folder, 'align.npz');
    await writeNpz(latents, {
      latents: { shape: [22, 4, 3], dtype: 'float32', data: new RandomStream(1).normals(22 * 4 * 3) },
    });
    const { code, stderr } = await train(out, {
      'latent-tokens': 0,
      align: latents,
      augmentation: 'none',
      recompute: true,
    });
    expect({ code, stderr }).toMatchObject({ code: 0 });
    // Before the first update the decoder, modulated by zeros, does not look at the latents yet.
    expect(Number(rows(out)[1].align_weight)).toBeGreaterThan(0);
    expect(Object.keys(await weights(out))).toContain('linear_proj.weight');
    const again = await run(['extract'], { ...DATA, tokenizer: out, out: fresh() });
    expect(again).toMatchObject({ code: 0 });
  });

  it('keeps every option in config.yaml', async () => {
    const out = fresh();
    await train(out, { 'aux-weight': 'hog=2', l2: 0.5, steps: 1 });
    expect(parseYaml(readFileSync(join(out, 'config.yaml'), 'utf8'))).toMatchObject({
      options: { auxWeight: ['hog=2'], l2: 0.5, stage: 'all', disc: 'none' },
    });
  });
});

describe('a mismatch is reported in one line before the first step', () => {
  it.each([
    [{ disc: 'dino' }, /--disc dino: needs the weights of a DINO ViT/],
    [
      { disc: 'patchgan', 'disc-width': 2, 'disc-start': 2 },
      /the discriminator would start at step 2, after the last of 2 steps/,
    ],
    [{ stage: 'decoder' }, /--stage decoder: needs a trained encoder/],
    [{ sizes: '16,18' }, /--sizes 18: is not a multiple of the patch size 8/],
    [{ teacher: 'clip=onnx:x.onnx' }, /--teacher clip: nothing predicts it/],
    [{ align: 'x.npz' }, /--align: pairs latents with patches one to one; give --latent-tokens 0/],
    [{ 'aux-weight': 'much' }, /--aux-weight must be a number, or NAME=NUMBER/],
  ])('%j', async (flags, message) => {
    const out = fresh();
    const { code, stderr } = await train(out, flags);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(existsSync(join(out, 'metrics.csv'))).toBe(false);
  });

  it('features of another grid, or of other images', async () => {
    const path = join(folder, 'odd.npz');
    const write = (shape: number[]) =>
      writeNpz(
        path,
        { latents: { shape, dtype: 'float32', data: new Float32Array(shape.reduce((a, b) => a * b)) } },
        { force: true },
      );
    const attempt = async () => (await train(fresh(), { aux: 'x', teacher: `x=${path}`, augmentation: 'none' })).stderr;
    await write([22, 20, 3]);
    expect(await attempt()).toMatch(/gives 20 tokens for 4 patches \(2 × 2\)/);
    await write([5, 4, 3]);
    expect(await attempt()).toMatch(/holds features of 5 images, .* has 22 to train on/);
  });

  it('a network that the run to start from has settled', async () => {
    const out = fresh();
    await train(out, { steps: 1 });
    const { stderr } = await train(fresh(), { from: out });
    expect(stderr).toMatch(/--from: --image-size is determined by the run that this one starts from/);
  });
});
