import { tf, type Tensor, type Tensor4D } from '../../engine/index.js';
import type { VerifiedSystem, Verifier, VerifyCase } from '../case.js';
import { channelsFirst, channelsLast, under, type Params } from '../../nn/index.js';
import { tensorOf } from '../../nn/layout.js';
import { dinoActivations, dinoDiscriminator, dinoInput, type DinoConfig } from '../../tokenizers/losses/dino.js';
import type { Discriminator } from '../../tokenizers/losses/discriminator.js';
import { maskBit, patchGan } from '../../tokenizers/losses/patchgan.js';

/** Patch discriminators in evaluation and training, with the image's gradient of −⟨logits⟩. */
const verifyPatch: Verifier = ({ config, inputs, weights }) => {
  const judge: Discriminator = config.class === 'maskbit' ? maskBit : patchGan;
  const images = channelsLast(tensorOf(inputs['in.image'])) as Tensor4D;
  const trained = judge(weights, images, { train: true });
  const gradient = tf.grad((x: Tensor) =>
    judge(weights, x as Tensor4D, { train: true })
      .logits.mean()
      .neg(),
  )(images);
  return Promise.resolve({
    'out.logits_eval': channelsFirst(judge(weights, images, { train: false }).logits),
    'out.logits_train': channelsFirst(trained.logits),
    'out.grad_image_of_minus_mean_logit_train': channelsFirst(gradient),
    ...afterTraining(trained.buffers),
  });
};

interface DinoArguments {
  num_heads: number;
  key_depths: number[];
}

const verifyDino: Verifier = recorded => {
  const { weights } = recorded;
  const args = recorded.config.model_args as DinoArguments;
  const config: DinoConfig = { heads: args.num_heads, readouts: args.key_depths };
  const images = channelsLast(tensorOf(recorded.inputs['in.image'])) as Tensor4D;
  const input = dinoInput(weights, images);
  const activations = dinoActivations(config, under(weights, 'dino'), input);
  const trained = dinoDiscriminator(config, weights, images, { train: true });
  return Promise.resolve({
    ...Object.fromEntries(activations.map((a, i) => [`out.activation_${i}`, tf.transpose(a, [0, 2, 1])])),
    ...firstRows(recorded, input),
    'out.logits_eval': dinoDiscriminator(config, weights, images, { train: false }).logits,
    'out.logits_train': trained.logits,
    ...afterTraining(trained.buffers),
  });
};

/** The first rows of the first resized image, as many as were recorded. */
function firstRows({ recorded }: VerifyCase, input: Tensor4D): Record<string, Tensor> {
  const name = Object.keys(recorded).find(key => key.startsWith('out.bicubic_'));
  if (name === undefined) return {};
  const rows = recorded[name].shape[2];
  return { [name]: channelsFirst(tf.slice4d(input, [0, 0, 0, 0], [1, rows, -1, -1])) };
}

const afterTraining = (buffers: Params): Params =>
  Object.fromEntries(Object.entries(buffers).map(([key, value]) => [`out.after_train.${key}`, value]));

export const discriminatorSystems: VerifiedSystem[] = [
  { name: 'patchgan', recognises: ({ kind }) => kind === 'patchgan', verify: verifyPatch },
  { name: 'dinodisc', recognises: ({ kind }) => kind === 'dinodisc', verify: verifyDino },
];
