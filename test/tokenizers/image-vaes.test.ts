import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { RandomStream, startEngine, tf, type Tensor4D } from '../../src/engine/index.js';
import { readSafetensors, writeSafetensors, type NdArray } from '../../src/io/index.js';
import { MODEL_PRESETS } from '../../src/jobs/models.js';
import { openTokenizer } from '../../src/tokenizers/index.js';
import { toLatentDiffusionKeys } from '../../src/tokenizers/ldm/keys.js';
import { spellingOf, toDiffusersKeys } from '../../src/tokenizers/wan/keys.js';
import { tempFolder } from '../helpers/temp.js';

const FOLDER = fileURLToPath(new URL('../../fixtures/golden/image-vaes', import.meta.url));
const temp = tempFolder();

type Shaped = Record<string, { shape: number[] }>;

describe('full-size state dicts of public packages', () => {
  const listings = JSON.parse(readFileSync(`${FOLDER}/full-size.json`, 'utf8')) as Record<
    string,
    Record<string, string>
  >;

  it.each(Object.keys(listings))('%s: every key and shape', listed => {
    const [name] = listed.split(',');
    const { shapes } = MODEL_PRESETS.find(preset => preset.name === name)!;
    const theirs = Object.entries(listings[listed]).map(([key, shape]) => [key, { shape: sides(shape) }] as const);
    expect(shapesOf(ours(Object.fromEntries(theirs)))).toEqual(shapes());
  });

  const sides = (shape: string): number[] => (shape === '' ? [] : shape.split('x').map(Number));
  const ours = (weights: Shaped): Shaped => {
    const spelling = spellingOf(Object.keys(weights));
    if (spelling === undefined) return toLatentDiffusionKeys(weights);
    return spelling === 'wan' ? toDiffusersKeys(weights) : weights;
  };
  const shapesOf = (weights: Shaped): Record<string, number[]> =>
    Object.fromEntries(Object.entries(weights).map(([key, { shape }]) => [key, shape]));
});

describe('a single file in its authors’ spelling', () => {
  beforeAll(async () => {
    await startEngine();
  });

  it('FLUX.2: without a config, with its own order of levels and quant convolutions inside', async () => {
    const bfl = (name: string): string =>
      name
        .replace(/^encoder\.down_blocks\.(\d)\.resnets/, 'encoder.down.$1.block')
        .replace(/^decoder\.up_blocks\.(\d)\.resnets/, (_, level: string) => `decoder.up.${2 - Number(level)}.block`)
        .replace(/^encoder\.down_blocks\.(\d)\.downsamplers\.0/, 'encoder.down.$1.downsample')
        .replace(
          /^decoder\.up_blocks\.(\d)\.upsamplers\.0/,
          (_, level: string) => `decoder.up.${2 - Number(level)}.upsample`,
        )
        .replace(/mid_block\.resnets\.(\d)/, (_, block: string) => `mid.block_${Number(block) + 1}`)
        .replace('mid_block.attentions.0.group_norm', 'mid.attn_1.norm')
        .replace(/mid_block\.attentions\.0\.to_([qkv])/, 'mid.attn_1.$1')
        .replace('mid_block.attentions.0.to_out.0', 'mid.attn_1.proj_out')
        .replace('conv_shortcut', 'nin_shortcut')
        .replace('conv_norm_out', 'norm_out')
        .replace(/^quant_conv/, 'encoder.quant_conv')
        .replace(/^post_quant_conv/, 'decoder.post_quant_conv');
    // What no key tells: groups, and the term that this recording adds to the variances.
    await expectSame('flux2', bfl, { norm_num_groups: 2, batch_norm_eps: 0.01 }, [16, 12]);
  });

  it('Wan: as its authors number layers', async () => {
    const wan = (name: string): string =>
      name
        .replace(/^quant_conv/, 'conv1')
        .replace(/^post_quant_conv/, 'conv2')
        .replace('conv_in', 'conv1')
        .replace('norm_out', 'head.0')
        .replace('conv_out', 'head.2')
        .replace(/mid_block\.resnets\.(\d)/, (_, block: string) => `middle.${2 * Number(block)}`)
        .replace('mid_block.attentions.0', 'middle.1')
        .replace('encoder.down_blocks', 'encoder.downsamples')
        .replace(
          /decoder\.up_blocks\.(\d)\.resnets\.(\d)/,
          (_, level: string, block: string) => `decoder.upsamples.${3 * Number(level) + Number(block)}`,
        )
        .replace(
          /decoder\.up_blocks\.(\d)\.upsamplers\.0/,
          (_, level: string) => `decoder.upsamples.${3 * Number(level) + 2}`,
        )
        .replace(/(samples\.\d+|middle\.\d)\.norm1/, '$1.residual.0')
        .replace(/(samples\.\d+|middle\.\d)\.conv1/, '$1.residual.2')
        .replace(/(samples\.\d+|middle\.\d)\.norm2/, '$1.residual.3')
        .replace(/(samples\.\d+|middle\.\d)\.conv2/, '$1.residual.6')
        .replace('conv_shortcut', 'shortcut');
    const { latents_mean, latents_std } = parametersOf('wan');
    await expectSame('wan', wan, { latents_mean, latents_std }, [64, 3]);
  });

  /** The recorded network, renamed and with no more config than told, gives what its diffusers folder gives. */
  async function expectSame(
    name: string,
    rename: (name: string) => string,
    told: Record<string, unknown>,
    latentShape: [tokens: number, channels: number],
  ): Promise<void> {
    const weights = await readSafetensors(`${FOLDER}/${name}/weights.safetensors`);
    const renamed = Object.fromEntries(Object.entries(weights).map(([key, array]) => [rename(key), array]));
    const first = await roundTrip(await published(`${name}-diffusers`, weights, parametersOf(name)));
    const second = await roundTrip(await published(`${name}-authors`, renamed, told));
    expect(first.shape).toEqual(latentShape);
    expect(second).toEqual(first);
  }

  const parametersOf = (name: string): Record<string, unknown> =>
    (
      JSON.parse(readFileSync(`${FOLDER}/${name}/config.json`, 'utf8')) as {
        parameters: Record<string, unknown>;
      }
    ).parameters;

  async function published(
    name: string,
    weights: Record<string, NdArray>,
    config: Record<string, unknown>,
  ): Promise<string> {
    const at = join(temp, name);
    mkdirSync(at);
    writeFileSync(join(at, 'config.json'), JSON.stringify(config));
    await writeSafetensors(join(at, 'diffusion_pytorch_model.safetensors'), weights);
    return at;
  }

  async function roundTrip(spec: string) {
    const tokenizer = await openTokenizer(spec, { imageSize: 32 });
    const images = tf.clipByValue(new RandomStream(3).normalTensor([1, 32, 32, 3]), -1, 1) as Tensor4D;
    const latents = await tokenizer.encode(images);
    const decoded = await tokenizer.decode(latents);
    tokenizer.dispose();
    return { shape: tokenizer.latentShape, latents: await latents.data(), decoded: await decoded.data() };
  }
});
