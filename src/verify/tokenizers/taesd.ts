import { UserError } from '../../base/index.js';
import { tf, type Tensor } from '../../engine/index.js';
import type { VerifiedSystem, Verifier, VerifyCase } from '../case.js';
import { channelsFirst, channelsLast } from '../../nn/index.js';
import { tensorOf } from '../../nn/layout.js';
import { runSequence, type Activations } from '../../tokenizers/taesd/model.js';
import { sequenceOf } from '../../tokenizers/taesd/networks.js';

/** Encodes and decodes the recorded 8-bit images by every network that the case names. */
const verify: Verifier = async recorded => {
  const pixels = channelsLast(tensorOf(recorded.inputs['input.image_u8'])).div(255);
  const results: Record<string, Tensor> = {};
  const names = recorded.config.weights as string[];
  const encoders = names.filter(name => name.endsWith('encoder'));
  for (const name of encoders) {
    const encoded = await run(recorded, name, pixels);
    const isMain = name === encoders[0];
    Object.assign(results, isMain ? mainLatents(encoded) : {}, name.includes('sana') ? sanaLatents(encoded) : {});
  }
  const decoder = names.find(name => name.endsWith('decoder'));
  if (decoder !== undefined) {
    const latent = channelsLast(results['output.latent']);
    Object.assign(results, reconstructions(await run(recorded, decoder, latent), pixels));
  }
  return results;
};

async function run({ findWeights }: VerifyCase, name: string, x: Tensor): Promise<Activations> {
  const params = await findWeights(name);
  const sequence = sequenceOf(Object.keys(params));
  if (!sequence) throw new UserError(`${name}: not a sequence of the TAESD family`);
  return runSequence(sequence.layers, params, x);
}

const mainLatents = ({ output, layers }: Activations): Record<string, Tensor> => ({
  'output.latent': channelsFirst(output),
  'output.latent_scaled01': channelsFirst(tf.clipByValue(output.div(6).add(0.5), 0, 1)),
  ...named('encoder', layers),
});

const sanaLatents = ({ output }: Activations): Record<string, Tensor> => ({
  'output.sana_latent': channelsFirst(output),
});

function reconstructions({ output, layers }: Activations, pixels: Tensor): Record<string, Tensor> {
  const decoded = tf.clipByValue(output, 0, 1);
  const mse = decoded.sub(pixels).square().mean([1, 2, 3]);
  return {
    'output.decoded_raw': channelsFirst(output),
    'output.decoded': channelsFirst(decoded),
    'output.mse_per_image': mse,
    'output.psnr_per_image': tf.log(mse).mul(-10 / Math.LN10),
    ...named('decoder', layers),
  };
}

const named = (half: string, layers: Tensor[]): Record<string, Tensor> =>
  Object.fromEntries(layers.map((layer, i) => [`output.${half}_layer${i}`, channelsFirst(layer)]));

export const taesdSystem: VerifiedSystem = {
  name: 'taesd',
  recognises: ({ system }) => String(system).startsWith('TAESD family'),
  verify,
};
