import { matMul, tf, type Scalar, type Tensor, type Tensor3D, type Tensor4D } from '../../engine/index.js';
import type { VerifiedSystem, VerifyCase } from '../case.js';
import { channelsFirst, channelsLast, conv2d, pixelShuffle, silu, under, type Params } from '../../nn/index.js';
import { tensorOf } from '../../nn/layout.js';
import { toTokens } from '../../tokenizers/grid.js';
import { adaptiveWeight, discriminatorLoss, generatorLoss } from '../../tokenizers/losses/index.js';
import { started } from '../../tokenizers/losses/adversarial.js';
import { klPerImage, posterior, samplePosterior } from '../../tokenizers/posterior.js';
import { alignment, ALIGNMENT_LARGEST, type AlignmentLoss } from '../../tokenizers/losses/vf.js';

interface LossConfig {
  vf_weight: number;
  cos_margin: number;
  distmat_margin: number;
  disc_start: number;
  global_step: number;
  kl_weight: number;
  disc_weight: number;
}

/** What the case's toy network gives on the way to its loss. */
interface Pass {
  sample: Tensor;
  projected: Tensor;
  reconstruction: Tensor4D;
  kl: Tensor;
  nll: Scalar;
  generator: Scalar;
  alignment: AlignmentLoss;
}

const ENCODER = 'encoder_conv_out.weight';
const DECODER = 'decoder_conv_out.weight';
const PROJECTION = 'linear_proj.weight';

function run({ inputs, config }: VerifyCase, params: Params, margins?: { cosine: number; distance: number }): Pass {
  const { cos_margin: cosine, distmat_margin: distance } = config.parameters as LossConfig;
  const input = (name: string): Tensor4D => channelsLast(tensorOf(inputs[`input.${name}`])) as Tensor4D;
  const images = input('image');
  const moments = conv2d(under(params, 'encoder_conv_out'), images, { stride: 4, padding: 0 });
  const p = posterior(moments);
  const sample = samplePosterior(p, input('posterior_noise'));
  const projected = conv2d(under(params, 'linear_proj'), sample);
  const reconstruction = conv2d(
    under(params, 'decoder_conv_out'),
    silu(lifted(under(params, 'decoder_conv_in'), sample)),
  );
  const logits = conv2d(under(params, 'discriminator'), reconstruction, { stride: 2, padding: 1 });
  return {
    sample,
    projected,
    reconstruction,
    kl: klPerImage(p).mean(),
    nll: images.sub(reconstruction).abs().sum<Scalar>().div(images.shape[0]),
    generator: generatorLoss.hinge(logits),
    alignment: alignment(margins ?? { cosine, distance }, tokens(projected), tokens(input('features'))),
  };
}

const tokens = (x: Tensor): Tensor3D => toTokens(x);

/** Transposed convolution whose kernel equals its stride: every position becomes a square of its own. */
function lifted({ weight, bias }: Params, z: Tensor): Tensor {
  const [inputs, out, kernel] = weight.shape as [number, number, number];
  return pixelShuffle(matMul(z, weight.reshape([inputs, out * kernel * kernel])), kernel).add(bias);
}

function verify(recorded: VerifyCase): Promise<Record<string, Tensor>> {
  const { weights, inputs } = recorded;
  const config = recorded.config.parameters as LossConfig;
  const pass = run(recorded, weights);
  const factor = started(config.global_step, config.disc_start);
  const at = (key: string, f: (pass: Pass) => Scalar): Tensor =>
    tf.grad((w: Tensor) => f(run(recorded, { ...weights, [key]: w })))(weights[key]);
  const nll = ({ nll }: Pass): Scalar => nll;
  const vfWeight = adaptiveWeight(
    at(ENCODER, nll),
    at(ENCODER, p => p.alignment.loss),
    ALIGNMENT_LARGEST,
  ).mul(config.vf_weight);
  const discWeight = adaptiveWeight(
    at(DECODER, nll),
    at(DECODER, p => p.generator),
  ).mul(config.disc_weight);
  const total = (p: Pass, alignmentWeight: Tensor = vfWeight): Scalar =>
    p.nll
      .add(p.kl.mul(config.kl_weight))
      .add(p.generator.mul(discWeight).mul(factor))
      .add(p.alignment.loss.mul(alignmentWeight));
  const images = channelsLast(tensorOf(inputs['input.image']));
  const judged = (x: Tensor): Tensor => conv2d(under(weights, 'discriminator'), x, { stride: 2, padding: 1 });
  return Promise.resolve({
    'mid.z_sample': channelsFirst(pass.sample),
    'mid.z_projected': channelsFirst(pass.projected),
    'mid.reconstruction': channelsFirst(pass.reconstruction),
    'output.rec_loss': images.sub(pass.reconstruction).abs().mean(),
    'output.nll_loss': pass.nll,
    'output.kl_loss': pass.kl,
    'output.g_loss': pass.generator,
    'output.d_weight': discWeight,
    'output.disc_factor': tf.scalar(factor),
    'output.discriminator_loss': discriminatorLoss.hinge(judged(images), judged(pass.reconstruction)).mul(factor),
    'output.vf_distance_matrix_term': pass.alignment.distance,
    'output.vf_cosine_term': pass.alignment.cosine,
    'output.vf_loss': pass.alignment.loss,
    'output.vf_weight': vfWeight,
    'output.total_loss': total(pass),
    'output.total_loss_zero_margins_fixed_weight': total(
      run(recorded, weights, { cosine: 0, distance: 0 }),
      tf.scalar(0.5),
    ),
    [`output.grad.${ENCODER}`]: at(ENCODER, p => total(p)),
    [`output.grad.${PROJECTION}`]: at(PROJECTION, p => total(p)),
  });
}

export const alignmentSystem: VerifiedSystem = {
  name: 'va-vae-loss',
  recognises: ({ system }) => String(system).startsWith('VA-VAE training loss'),
  verify,
};
