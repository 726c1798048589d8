import { tf, type Tensor, type Tensor4D } from '../../engine/index.js';
import type { VerifiedSystem, Verifier, VerifyCase } from '../case.js';
import { channelsFirst, channelsLast, under, type Params } from '../../nn/index.js';
import { tensorOf } from '../../nn/layout.js';
import { scaled, unscaled } from '../../tokenizers/normalisation.js';
import { gaussianOutputs, gradientOutputs } from './gaussian.js';
import { klPerImage, posterior, samplePosterior } from '../../tokenizers/posterior.js';
import { toLatentDiffusionKeys } from '../../tokenizers/ldm/keys.js';
import { encodeFeatures } from '../../tokenizers/ldm/model.js';
import { decodeLatents, encodeMoments, loadLdm, type LoadedLdm } from '../../tokenizers/ldm/tokenizer.js';

/** VA-VAE and SD-VAE: outputs in PyTorch's channel-first layout. */
const verifyVae: Verifier = recorded => {
  const { params, config } = load(recorded, recorded.config.parameters as Record<string, unknown>);
  const given = (name: string): Tensor => channelsLast(tensorOf(recorded.inputs[`input.${name}`]));
  const images = given('image');
  const moments = encodeMoments(config, params, images);
  const p = posterior(moments);
  const sample = samplePosterior(p, given('posterior_noise'));
  const decodedMode = decodeLatents(config, params, p.mean);
  const maps: Record<string, Tensor> = {
    encoder_features: encodeFeatures(config.norm, under(params, 'encoder'), images),
    moments,
    mode: p.mean,
    logvar_clamped: p.logVariance,
    std: tf.exp(p.logVariance.mul(0.5)),
    sample,
    scaled_latent: scaled(config.normalisation, p.mean),
    decoded_mode: decodedMode,
    decoded_sample: decodeLatents(config, params, sample),
    decoded_given_latent: decodeLatents(config, params, given('latent')),
  };
  return Promise.resolve({
    ...asRecorded('output', maps),
    'output.kl_per_image': klPerImage(p),
    'output.decoded_mode_uint8_nhwc': toBytes(decodedMode),
  });
};

/** Maps [n, h, w, c] under their recorded names and in the recorded layout. */
const asRecorded = (prefix: string, maps: Record<string, Tensor>): Record<string, Tensor> =>
  Object.fromEntries(Object.entries(maps).map(([name, map]) => [`${prefix}.${name}`, channelsFirst(map)]));

/** Latent diffusion's 8-bit pixels: 127.5 x + 128, clamped, truncated. */
const toBytes = (images: Tensor): Tensor => tf.floor(tf.clipByValue(images.mul(127.5).add(128), 0, 255));

/** MAETok's convolutional autoencoders. */
const verifyConvolutional: Verifier = recorded => {
  const args = recorded.config.model_args as Record<string, unknown>;
  const raw = { ...args, ch: recorded.config.cnn_ch, num_res_blocks: recorded.config.cnn_num_res_blocks };
  const loaded = load(recorded, JSON.parse(JSON.stringify(raw)) as Record<string, unknown>);
  const { kl_loss_weight: klWeight = 1e-6 } = (recorded.config.hub_config_json ?? {}) as { kl_loss_weight?: number };
  if (loaded.config.architecture.moments === 1) return Promise.resolve(plainForwards(recorded, loaded));
  return Promise.resolve({
    ...forwards(recorded, loaded, klWeight),
    ...gradientOutputs(recorded, loaded.params, publishedNames(recorded), params =>
      trainingLoss(recorded, loaded, params, klWeight),
    ),
  });
};

/** An autoencoder without a posterior. */
function plainForwards(recorded: VerifyCase, { config, params }: LoadedLdm): Record<string, Tensor> {
  const latents = encodeMoments(config, params, input(recorded, 'image'));
  return asRecorded('out', {
    latents,
    reconstruction: decodeLatents(config, params, latents),
    decode_of_z: decodeLatents(config, params, unscaled(config.normalisation, input(recorded, 'z'))),
  });
}

function forwards(recorded: VerifyCase, { config, params }: LoadedLdm, klWeight: number): Record<string, Tensor> {
  const moments = encodeMoments(config, params, input(recorded, 'image'));
  const p = posterior(moments);
  const sample = samplePosterior(p, input(recorded, 'noise'));
  const kl = klPerImage(p);
  const maps: Record<string, Tensor> = {
    moments,
    mean: p.mean,
    mode: p.mean,
    logvar: p.logVariance,
    std: tf.exp(p.logVariance.mul(0.5)),
    sample,
    reconstruction_mode: decodeLatents(config, params, p.mean),
    reconstruction_sample: decodeLatents(config, params, sample),
    decode_of_z: decodeLatents(config, params, unscaled(config.normalisation, input(recorded, 'z'))),
  };
  return {
    ...asRecorded('out', maps),
    'out.kl_per_sample': kl,
    'out.weighted_kl_loss': kl.mean().mul(klWeight).reshape([1]),
    ...gaussianOutputs(recorded),
  };
}

/** Squared error of the image decoded from a sample, and the weighted divergence. */
function trainingLoss(recorded: VerifyCase, { config }: LoadedLdm, params: Params, klWeight: number): Tensor {
  const images = input(recorded, 'image');
  const p = posterior(encodeMoments(config, params, images));
  const decoded = decodeLatents(config, params, samplePosterior(p, input(recorded, 'noise')));
  return decoded.sub(images).square().mean().add(klPerImage(p).mean().mul(klWeight));
}

const input = ({ inputs }: VerifyCase, name: string): Tensor4D =>
  channelsLast(tensorOf(inputs[`in.${name}`])) as Tensor4D;

/** Our key of every tensor → its name in the case. */
function publishedNames({ arrays }: VerifyCase): Record<string, string> {
  const ours = Object.keys(toLatentDiffusionKeys(arrays));
  return Object.fromEntries(Object.keys(arrays).map((name, i) => [ours[i], name]));
}

function load({ folder, arrays }: VerifyCase, raw: Record<string, unknown>): LoadedLdm {
  return loadLdm(folder, arrays, raw, {});
}

export const ldmSystems: VerifiedSystem[] = [
  { name: 'vae', recognises: ({ system }) => /^(VA|SD)-VAE \(/.test(String(system)), verify: verifyVae },
  {
    name: 'maetok-convolutional',
    recognises: ({ kind, model_args: args }) =>
      kind === 'tokenizer' && (args as { enc_type?: string } | undefined)?.enc_type === 'cnn',
    verify: verifyConvolutional,
  },
];
