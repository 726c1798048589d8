import type { Tensor, Tensor3D, Tensor4D } from '../../engine/index.js';
import type { VerifiedSystem, Verifier, VerifyCase } from '../case.js';
import { channelsFirst, channelsLast } from '../../nn/index.js';
import { tensorOf } from '../../nn/layout.js';
import type { NdArray } from '../../io/index.js';
import { toGrid, toTokens } from '../../tokenizers/grid.js';
import { scaled, unscaled } from '../../tokenizers/normalisation.js';
import { decodeImages } from '../../tokenizers/rae/images.js';
import { openNetworks } from '../../tokenizers/rae/tokenizer.js';
import { encodeTokens } from '../../tokenizers/rae/encoder.js';

/** diffusers' AutoencoderRAE, pixels in [0, 1]. Latents are maps, or tokens where `reshape_to_2d` is false. */
const verify: Verifier = async recorded => {
  const { folder, arrays, config: raw, inputs } = recorded;
  const { config, vision, encoder, decoder, normalisation, asMap } = await openNetworks(
    { name: folder, weights: arrays as Record<string, NdArray>, config: raw, digest: '' },
    {},
  );
  const images = unitToImages(channelsLast(tensorOf(inputs['input.image'])) as Tensor4D);
  const latents = scaled(normalisation, encodeTokens(config, vision, encoder, images)) as Tensor3D;
  const decoded = (z: Tensor): Tensor => {
    const tokens = unscaled(normalisation, z) as Tensor3D;
    return channelsFirst(decodeImages(config, decoder, tokens).add(1).div(2));
  };
  return {
    'output.latent': asMap ? channelsFirst(toGrid(latents)) : latents,
    'output.decoded': decoded(latents),
    ...given(recorded, asMap, decoded),
  };
};

const unitToImages = (pixels: Tensor4D): Tensor4D => pixels.mul(2).sub(1);

function given({ inputs }: VerifyCase, asMap: boolean, decoded: (z: Tensor) => Tensor): Record<string, Tensor> {
  if (!Object.hasOwn(inputs, 'input.latent')) return {};
  const z = tensorOf(inputs['input.latent']);
  return { 'output.decoded_given_latent': decoded(asMap ? toTokens(channelsLast(z)) : z) };
}

export const raeSystem: VerifiedSystem = {
  name: 'rae',
  recognises: ({ system }) => String(system).startsWith('RAE ('),
  verify,
};
