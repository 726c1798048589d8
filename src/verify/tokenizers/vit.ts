import { tf, type Tensor, type Tensor3D, type Tensor4D } from '../../engine/index.js';
import type { NdArray } from '../../io/index.js';
import type { VerifiedSystem, Verifier, VerifyCase } from '../case.js';
import {
  axialAngles,
  channelsFirst,
  channelsLast,
  lastModulatedNorm,
  layerNorm,
  linear,
  mixedAngles,
  silu,
  under,
  type Params,
} from '../../nn/index.js';
import { tensorOf } from '../../nn/layout.js';
import { klPerImage, posterior, samplePosterior } from '../../tokenizers/posterior.js';
import { gaussianOutputs, gradientOutputs } from './gaussian.js';
import { auxDecoder, gridSide, type VitConfig } from '../../tokenizers/vit/config.js';
import { decode, decodePatches } from '../../tokenizers/vit/decoder.js';
import { encode } from '../../tokenizers/vit/encoder.js';
import { toImagenet } from '../../tokenizers/imagenet.js';
import { hog } from '../../tokenizers/vit/hog.js';
import { readHubConfig, type Backbones } from '../../tokenizers/vit/hub.js';
import { auxLoss, IMAGE_TARGETS, negativeCosine, type AuxTarget } from '../../tokenizers/vit/targets.js';
import { readVision, visionTokens } from '../../vision/index.js';

/* The authors' recorded cases. Tensors that no forward pass of ours uses are read from the case's own weights. */

interface Case {
  recorded: VerifyCase;
  config: VitConfig;
  params: Params;
  images: Tensor4D;
}

const verifyTokenizer: Verifier = recorded => {
  const loaded = load(recorded);
  const kl = loaded.config.posterior === 'gaussian';
  const outputs = {
    ...tf.tidy(() => ({ ...structure(loaded), ...(kl ? gaussian(loaded) : plain(loaded)) })),
    ...gradientOutputs(recorded, recorded.weights, sameNames(recorded), kl ? gaussianLoss(loaded) : maskedLoss(loaded)),
  };
  loaded.images.dispose();
  return Promise.resolve(outputs);
};

function load(recorded: VerifyCase): Case {
  const { folder, config: about, arrays, weights } = recorded;
  const raw = { ...(about.hub_config_json as object), ...(about.model_args as object) };
  const config = readHubConfig(folder, raw, arrays, about.backbone_overrides as Backbones);
  return { recorded, config, params: weights, images: tf.tidy(() => imagesOf(recorded)) };
}

/**
 * `in.image`, or 8-bit pixels v that stand for (v / 255 − 0.5) / 0.5; where gradients of pixels are recorded, for
 * (v − 128) / 128, which is exact, so that no histogram depends on rounding.
 */
function imagesOf({ inputs, config: { kind } }: VerifyCase): Tensor4D {
  if (Object.hasOwn(inputs, 'in.image')) return channelsLast(tensorOf(inputs['in.image'])) as Tensor4D;
  const pixels = channelsLast(tensorOf(inputs['in.image_u8']));
  return kind === 'tokenizer' ? pixels.div(255).sub(0.5).div(0.5) : pixels.sub(128).div<Tensor4D>(128);
}

const input = ({ inputs }: VerifyCase, name: string): Tensor3D => tensorOf(inputs[`in.${name}`]) as Tensor3D;
const everything = (): boolean => true;
const sameNames = ({ arrays }: VerifyCase): Record<string, string> =>
  Object.fromEntries(Object.keys(arrays).map(name => [name, name]));

/** Tokens after the first block and the last norm of both stacks, and the decoded given latent. */
function structure({ recorded, config, params, images }: Case): Record<string, Tensor> {
  const encoded = encode(config, params, images, { wanted: everything });
  const z = input(recorded, 'z');
  const own = ownLatents(recorded, config, encoded.latents);
  const decoded = decode(config, params, own, { wanted: everything });
  const last = (activations: Params, depth: number): Tensor => activations[`blocks.${depth - 1}`];
  return {
    'out.patch_tokens': encoded.activations.patch_tokens,
    'out.enc_block0': encoded.activations['blocks.0'],
    'out.enc_norm': layerNorm(under(params, 'encoder.model.norm'), last(encoded.activations, config.encoder.depth)),
    'out.dec_block0': decoded.activations['blocks.0'],
    'out.dec_norm': decoderNorm(config, params, last(decoded.activations, config.decoder.depth), own),
    'out.decode_of_z': channelsFirst(decode(config, params, z).output),
    ...rotaryTables(config, params),
  };
}

/** What the recorded decoder tokens come from: the latents, or the recorded sample of the posterior. */
const ownLatents = (recorded: VerifyCase, config: VitConfig, latents: Tensor3D): Tensor3D =>
  config.posterior === 'gaussian'
    ? (samplePosterior(posterior(latents), input(recorded, 'noise')) as Tensor3D)
    : latents;

/** The decoder's last norm at every token; ours stops at the patches. */
function decoderNorm({ decoder }: VitConfig, params: Params, tokens: Tensor, latents: Tensor): Tensor {
  const norm = under(params, 'decoder.model.norm');
  if (decoder.kind === 'plain') return layerNorm(norm, tokens);
  const [shift, scale] = tf.split(linear(under(norm, 'adaLN_modulation.1'), silu(latents)), 2, -1);
  return lastModulatedNorm(tokens, scale, shift);
}

function rotaryTables(config: VitConfig, params: Params): Record<string, Tensor> {
  const { positions, encoder, ropeTheta } = config;
  const side = gridSide(config);
  if (positions === 'absolute') return {};
  if (positions === 'rope-axial') {
    const angles = axialAngles(encoder.width / encoder.heads, ropeTheta, side, side).squeeze([0]);
    return { 'out.rope_cos': tf.cos(angles), 'out.rope_sin': tf.sin(angles) };
  }
  const first = params['encoder.freqs'].slice([0, 0, 0], [2, 1, -1]).reshape([2, -1]);
  const angles = mixedAngles(first, encoder.heads, side, side);
  return { 'out.rope_cos_block0': tf.cos(angles), 'out.rope_sin_block0': tf.sin(angles) };
}

function plain({ recorded, config, params, images }: Case): Record<string, Tensor> {
  const { latents } = encode(config, params, images);
  const reconstruct = (z: Tensor3D): Tensor => channelsFirst(decode(config, params, z).output);
  const unmasked = { 'out.latents': latents, 'out.reconstruction': reconstruct(latents) };
  if (!Object.hasOwn(recorded.inputs, 'in.mask')) return unmasked;
  const masked = encode(config, params, images, { mask: input(recorded, 'mask') }).latents;
  return { ...unmasked, 'out.masked_latents': masked, 'out.masked_reconstruction': reconstruct(masked) };
}

function gaussian({ recorded, config, params, images }: Case): Record<string, Tensor> {
  const moments = encode(config, params, images).latents;
  const p = posterior(moments);
  const sample = samplePosterior(p, input(recorded, 'noise')) as Tensor3D;
  const kl = klPerImage(p);
  return {
    'out.moments': moments,
    'out.mean': p.mean,
    'out.mode': p.mean,
    'out.logvar': p.logVariance,
    'out.std': tf.exp(p.logVariance.mul(0.5)),
    'out.sample': sample,
    'out.kl_per_sample': kl,
    'out.weighted_kl_loss': kl.mean().mul(klWeight(recorded)).reshape([1]),
    'out.reconstruction_mode': channelsFirst(decode(config, params, p.mean as Tensor3D).output),
    'out.reconstruction_sample': channelsFirst(decode(config, params, sample).output),
    ...gaussianOutputs(recorded),
  };
}

const klWeight = ({ config }: VerifyCase): number =>
  (config.hub_config_json as { kl_loss_weight?: number } | undefined)?.kl_loss_weight ?? 1e-6;

type Loss = (params: Params) => Tensor;

const meanSquare = (a: Tensor, b: Tensor): Tensor => a.sub(b).square().mean();

const maskedLoss =
  ({ recorded, config, images }: Case): Loss =>
  params => {
    const mask = Object.hasOwn(recorded.inputs, 'in.mask') ? input(recorded, 'mask') : undefined;
    return meanSquare(decode(config, params, encode(config, params, images, { mask }).latents).output, images);
  };

const gaussianLoss =
  ({ recorded, config, images }: Case): Loss =>
  params => {
    const p = posterior(encode(config, params, images).latents);
    const sample = samplePosterior(p, input(recorded, 'noise')) as Tensor3D;
    const kl = klPerImage(p).mean().mul(klWeight(recorded));
    return meanSquare(decode(config, params, sample).output, images).add(kl);
  };

/** The training model with its auxiliary decoders and their losses. */
const verifyTraining: Verifier = async recorded => {
  const loaded = load(recorded);
  const { config, params, images } = loaded;
  const mask = tf.tidy(() => input(recorded, 'mask'));
  const features = await teacherFeatures(loaded);
  const outputs = {
    ...tf.tidy(() => ({
      ...evaluation(loaded),
      ...training(loaded, mask, features),
      ...Object.fromEntries(Object.entries(features).map(([name, x]) => [`out.target_${name}`, x.clone()])),
    })),
    ...gradientOutputs(recorded, params, sameNames(recorded), moved => {
      const { latents } = encode(config, moved, images, { mask });
      const pixels = meanSquare(decode(config, moved, latents).output, images);
      const losses = Object.entries(features).map(([name, target]) =>
        auxLoss(
          authorsTarget(config, name),
          decodePatches(config, auxDecoder(config, name), moved, latents).output,
          target,
          mask,
        ),
      );
      return tf.addN([pixels, ...losses]);
    }),
  };
  tf.dispose([images, mask, features]);
  return outputs;
};

/** Teachers' prefixes in the state dict and the backbones that their sizes go by. */
const TEACHERS: Record<string, { prefix: string; backbone: string }> = {
  dino: { prefix: 'repa_model', backbone: 'vit_large_patch14_dinov2.lvd142m' },
  clip: { prefix: 'clip_model', backbone: 'vit_so400m_patch14_siglip_gap_224' },
};

async function teacherFeatures(loaded: Case): Promise<Record<string, Tensor3D>> {
  const { config, images } = loaded;
  const features: Record<string, Tensor3D> = {};
  for (const name of Object.keys(config.aux?.targets ?? {}))
    features[name] = Object.hasOwn(TEACHERS, name)
      ? await teacherTokens(loaded, TEACHERS[name])
      : IMAGE_TARGETS[name](config.patchSize).features(images);
  return features;
}

/** A teacher's patch tokens. All teachers are given ImageNet's normalisation, SigLIP too, as the authors do. */
async function teacherTokens(
  { recorded, images }: Case,
  { prefix, backbone }: { prefix: string; backbone: string },
): Promise<Tensor3D> {
  const { folder, arrays, config: about } = recorded;
  const heads = (about.backbone_overrides as Backbones)[backbone].num_heads;
  const weights = under(arrays as Record<string, NdArray>, prefix);
  const { config, params } = await readVision({
    name: folder,
    weights,
    config: { architecture: backbone, num_attention_heads: heads },
  });
  return tf.tidy(() => {
    const { hidden, extra } = visionTokens(config, params, toImagenet(images));
    return hidden.slice([0, extra, 0], [-1, -1, -1]);
  });
}

const authorsTarget = (config: VitConfig, name: string): Pick<AuxTarget, 'distance'> =>
  Object.hasOwn(TEACHERS, name) ? { distance: negativeCosine } : IMAGE_TARGETS[name](config.patchSize);

function evaluation({ recorded, config, params, images }: Case): Record<string, Tensor> {
  const { latents } = encode(config, params, images);
  const reconstruction = decode(config, params, latents).output;
  const predictions = Object.keys(config.aux?.targets ?? {}).map(name => {
    const tokens = recorded.recorded[`out.eval_pred_${name}`].shape[1];
    const { output } = decodePatches(config, auxDecoder(config, name), params, latents);
    return [`out.eval_pred_${name}`, output.slice([0, 0, 0], [-1, tokens, -1])];
  });
  return {
    'out.latents': latents,
    'out.reconstruction': recordedCrop(recorded, reconstruction),
    'out.reconstruction_mean_abs': reconstruction.abs().mean().reshape([1]),
    ...(Object.fromEntries(predictions) as Params),
  };
}

function training({ recorded, config, params, images }: Case, mask: Tensor, features: Params): Record<string, Tensor> {
  const { latents } = encode(config, params, images, { mask });
  const reconstruction = decode(config, params, latents).output;
  const outputs = Object.entries(features).flatMap(([name, target]) => {
    const { output } = decodePatches(config, auxDecoder(config, name), params, latents);
    const loss = (over?: Tensor): Tensor =>
      auxLoss(authorsTarget(config, name), output, target as Tensor3D, over).reshape([1]);
    return [
      [`out.pred_${name}`, output],
      [`out.loss_${name}`, loss(mask)],
      [`out.loss_${name}_all_tokens`, loss()],
    ] as [string, Tensor][];
  });
  return {
    'out.masked_latents': latents,
    'out.masked_reconstruction': recordedCrop(recorded, reconstruction),
    'out.masked_reconstruction_mean_abs': reconstruction.abs().mean().reshape([1]),
    ...Object.fromEntries(outputs),
  };
}

/** What these cases kept of an image: the rows and columns that the case's description of the tensor names, or all. */
function recordedCrop({ config }: VerifyCase, images: Tensor4D): Tensor {
  const { 'out.reconstruction': kept = '' } = (config.tensors ?? {}) as Record<string, string>;
  const found = /rows (\d+)\.\.(\d+), columns (\d+)\.\.(\d+)/.exec(kept);
  if (!found) return channelsFirst(images);
  const [top, bottom, left, right] = found.slice(1).map(Number);
  return channelsFirst(images.slice([0, top, left, 0], [-1, bottom - top + 1, right - left + 1, -1]));
}

/** The authors' generator lays cells of 8 pixels out on a grid of 16 × 16 patches, whatever the image's size. */
const PUBLISHED_HOG = { grid: 16, cell: 8, window: 16 };

const verifyHog: Verifier = recorded => {
  const { grid, ...sizes } = PUBLISHED_HOG;
  const images = imagesOf(recorded);
  return Promise.resolve({ 'out.hog': tf.tidy(() => hog(images, images.shape[1] / grid, sizes)) });
};

export const vitSystems: VerifiedSystem[] = [
  {
    name: 'maetok',
    recognises: ({ kind, model_args: args }) =>
      kind === 'tokenizer' && (args as { enc_type?: string } | undefined)?.enc_type === 'vit',
    verify: verifyTokenizer,
  },
  { name: 'maetok-training', recognises: ({ kind }) => kind === 'maskae', verify: verifyTraining },
  { name: 'maetok-hog', recognises: ({ kind }) => kind === 'hog', verify: verifyHog },
];
