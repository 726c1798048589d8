import { UserError, type RandomNumbers } from '../../base/index.js';
import { tf, type RandomStream, type Tensor, type Tensor4D } from '../../engine/index.js';
import { readWeights, sha256OfFile } from '../../io/index.js';
import { children, paramsFrom, prefixed, type Params, type Shapes } from '../../nn/index.js';
import { IMAGENET } from '../../vision/index.js';
import { dinoDiscriminator, type DinoConfig } from './dino.js';
import type { Judgement, JudgeOptions } from './discriminator.js';
import { patchGan } from './patchgan.js';
import { furtherIterated } from './spectral.js';

/* Discriminators as networks that a run can train: initial parameters, which of them move, and the forward pass. */

export interface Critic {
  params: Params;
  /** Whether a gradient moves it; running statistics and frozen backbones are not. */
  trains(key: string): boolean;
  judge(params: Params, images: Tensor4D, options: JudgeOptions & { random?: RandomNumbers }): Judgement;
  /** Buffers after `batches` of originals and reconstructions, as far as they do not depend on these. */
  ahead?(params: Params, batches: number): Params;
  /** sha256 of a frozen backbone. */
  digest?: string;
}

const BUFFERS = /\.(running_mean|running_var|weight_u|weight_v)$/;

/** 70×70 PatchGAN: channels double at each of three halvings. Weights from a normal of 0.02, as pix2pix begins. */
export function newPatchGan(random: RandomStream, width = 64, layers = 3): Critic {
  const shapes: Shapes = { 'main.0.weight': [width, 3, 4, 4], 'main.0.bias': [width] };
  let inputs = width;
  for (let i = 1; i <= layers; i++) {
    const outputs = width * Math.min(2 ** i, 8);
    shapes[`main.${3 * i - 1}.weight`] = [outputs, inputs, 4, 4];
    for (const part of ['weight', 'bias', 'running_mean', 'running_var']) shapes[`main.${3 * i}.${part}`] = [outputs];
    inputs = outputs;
  }
  shapes[`main.${3 * layers + 2}.weight`] = [1, inputs, 4, 4];
  shapes[`main.${3 * layers + 2}.bias`] = [1];
  const initial = (key: string, shape: number[]): Tensor => {
    if (/\.(bias|running_mean)$/.test(key)) return tf.zeros(shape);
    if (key.endsWith('running_var')) return tf.ones(shape);
    return tf.tidy(() => {
      const noise = random.for(key).normalTensor(shape).mul(0.02);
      return shape.length === 1 ? noise.add(1) : noise;
    });
  };
  return {
    params: Object.fromEntries(Object.entries(shapes).map(([key, shape]) => [key, initial(key, shape)])),
    trains: key => !BUFFERS.test(key),
    judge: patchGan,
  };
}

const { mean: MEAN, std: STD } = IMAGENET;
/** Width of the heads' circular convolution. */
const KERNEL = 9;

/** Convolutional heads on a frozen DINO ViT whose weights (`facebookresearch/dino`, timm) are in a file. */
export async function openDinoCritic(path: string, random: RandomStream): Promise<Critic> {
  const arrays = Object.entries(await readWeights(path)).map(
    ([key, array]) => [key.replace(/^dino\./, ''), array] as const,
  );
  const found = paramsFrom(Object.fromEntries(arrays.filter(([key]) => BACKBONE.test(key))));
  const blocks = children(found, 'blocks').length;
  if (!('patch_embed.proj.weight' in found) || !('pos_embed' in found) || blocks === 0)
    throw new UserError(`${path}: holds no DINO ViT (patch_embed, pos_embed, blocks.0 …); give its backbone’s weights`);
  const width = found.cls_token.shape[2]!;
  // After every quarter of the blocks, as at 2, 5, 8 and 11 of twelve; heads are 64 wide in every published DINO.
  const readouts = [1, 2, 3, 4].map(quarter => Math.max(0, Math.round((quarter * blocks) / 4) - 1));
  const config: DinoConfig = { heads: Math.max(1, width / 64), readouts: [...new Set(readouts)] };
  const constants = {
    x_scale: tf.tensor(
      STD.map(std => 0.5 / std),
      [1, 3, 1, 1],
    ),
    x_shift: tf.tensor(
      MEAN.map((mean, i) => (0.5 - mean) / STD[i]),
      [1, 3, 1, 1],
    ),
  };
  const heads = Array.from({ length: 1 + config.readouts.length }, (_, i) =>
    prefixed(newHead(width, random.for(`head ${i}`)), `heads.${i}`),
  );
  return {
    params: { ...prefixed({ ...found, ...constants }, 'dino'), ...(Object.assign({}, ...heads) as Params) },
    trains: key => key.startsWith('heads.') && !BUFFERS.test(key),
    judge: (params, images, options) => dinoDiscriminator(config, params, images, options),
    ahead: (params, batches) => furtherIterated(params, 2 * batches),
    digest: await sha256OfFile(path),
  };
}

const BACKBONE = /^(patch_embed\.proj|cls_token|pos_embed|blocks\.\d+\.)/;

/** Convolutions as PyTorch begins them, uniform in ±1/√(inputs); power iterations from random unit vectors. */
function newHead(width: number, random: RandomStream): Params {
  const convolution = (at: string, outputs: number, kernel: number): Params => {
    const bound = (width * kernel) ** -0.5;
    const uniform = (name: string, shape: number[]): Tensor => {
      const size = shape.reduce((a, b) => a * b, 1);
      return tf.tensor(
        random
          .for(`${at}.${name}`)
          .uniforms(size)
          .map(u => (2 * u - 1) * bound),
        shape,
      );
    };
    const unit = (name: string, size: number): Tensor =>
      tf.tidy(() => {
        const noise = random.for(`${at}.${name}`).normalTensor([size]);
        return noise.div(noise.norm());
      });
    return prefixed(
      {
        weight_orig: uniform('weight', [outputs, width, kernel]),
        bias: uniform('bias', [outputs]),
        weight_u: unit('u', outputs),
        weight_v: unit('v', width * kernel),
      },
      at,
    );
  };
  const norm = (at: string): Params =>
    prefixed(
      {
        weight: tf.ones([width]),
        bias: tf.zeros([width]),
        running_mean: tf.zeros([width]),
        running_var: tf.ones([width]),
      },
      at,
    );
  return {
    ...convolution('0.0', width, 1),
    ...norm('0.1'),
    ...convolution('1.fn.0', width, KERNEL),
    ...norm('1.fn.1'),
    ...convolution('2', 1, 1),
  };
}

/** What a discriminator has seen of the originals and of the reconstructions, in training. */
export function judgeBoth(
  { judge }: Pick<Critic, 'judge'>,
  params: Params,
  [real, fake]: [Tensor4D, Tensor4D],
  random: RandomNumbers,
): { real: Tensor; fake: Tensor; buffers: Params } {
  const first = judge(params, real, { train: true, random });
  const second = judge({ ...params, ...first.buffers }, fake, { train: true, random });
  return { real: first.logits, fake: second.logits, buffers: { ...first.buffers, ...second.buffers } };
}
