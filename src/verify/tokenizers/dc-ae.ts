import type { Tensor } from '../../engine/index.js';
import type { NdArray } from '../../io/index.js';
import type { VerifiedSystem, Verifier } from '../case.js';
import { channelsFirst, channelsLast, under } from '../../nn/index.js';
import { tensorOf } from '../../nn/layout.js';
import { loadDcAe } from '../../tokenizers/dc-ae/tokenizer.js';
import { decode, encode } from '../../tokenizers/dc-ae/model.js';

const verify: Verifier = ({ folder, arrays, config, inputs }) => {
  const raw = config.parameters as Record<string, unknown>;
  const loaded = loadDcAe(folder, arrays as Record<string, NdArray>, raw, {});
  const { model, scale } = loaded.config;
  const [encoder, decoder] = [under(loaded.params, 'encoder'), under(loaded.params, 'decoder')];
  const latent = encode(model, encoder, channelsLast(tensorOf(inputs['input.image'])));
  const maps: Record<string, Tensor> = {
    latent,
    scaled_latent: latent.mul(scale ?? 1),
    decoded: decode(model, decoder, latent),
    decoded_given_latent: decode(model, decoder, channelsLast(tensorOf(inputs['input.latent']))),
  };
  return Promise.resolve(
    Object.fromEntries(Object.entries(maps).map(([name, map]) => [`output.${name}`, channelsFirst(map)])),
  );
};

export const dcAeSystem: VerifiedSystem = {
  name: 'dc-ae',
  recognises: ({ system }) => String(system).startsWith('DC-AE ('),
  verify,
};
