import type { Tensor } from '../../engine/index.js';
import { channelsFirst, channelsLast } from '../../nn/index.js';
import { tensorOf } from '../../nn/layout.js';
import { decodeLatents, encodeMoments, loadLdm } from '../../tokenizers/ldm/tokenizer.js';
import { scaled, unscaled, type Normalisation } from '../../tokenizers/normalisation.js';
import { packed, unpacked, type Patch } from '../../tokenizers/packing.js';
import { posterior } from '../../tokenizers/posterior.js';
import { configuredNormalisation } from '../../tokenizers/statistics-file.js';
import { decodeLatents as decodeWan, encodeMoments as encodeWan } from '../../tokenizers/wan/model.js';
import { loadWan } from '../../tokenizers/wan/tokenizer.js';
import type { VerifiedSystem, Verifier, VerifyCase } from '../case.js';

/** A network of one picture [n, h, w, c], and what is done to its latents before a diffusion model sees them. */
interface Autoencoder {
  moments: (images: Tensor) => Tensor;
  decode: (z: Tensor) => Tensor;
  patch: Patch;
  normalisation: Normalisation;
}

/** The posterior's mode, the latent handed on, and pictures from both: outputs in PyTorch's channel-first layout. */
const verifier =
  (open: (recorded: VerifyCase, parameters: Record<string, unknown>) => Autoencoder): Verifier =>
  recorded => {
    const given = (name: string): Tensor => channelsLast(tensorOf(recorded.inputs[`input.${name}`]));
    const { moments, decode, patch, normalisation } = open(
      recorded,
      recorded.config.parameters as Record<string, unknown>,
    );
    const mode = posterior(moments(given('image'))).mean;
    const maps: Record<string, () => Tensor> = {
      mode: () => mode,
      scaled_latent: () => scaled(normalisation, packed(mode, patch)),
      decoded: () => decode(mode),
      decoded_given_scaled_latent: () => decode(unpacked(unscaled(normalisation, given('scaled_latent')), patch)),
    };
    const wanted = Object.keys(maps).filter(name => recorded.wants(`output.${name}`));
    return Promise.resolve(Object.fromEntries(wanted.map(name => [`output.${name}`, channelsFirst(maps[name]())])));
  };

const ldm = ({ folder, arrays }: VerifyCase, parameters: Record<string, unknown>): Autoencoder => {
  const { config, params } = loadLdm(folder, arrays, parameters, {});
  const { patch = [1, 1], embedDim } = config.architecture;
  const { normalisation } = config;
  return {
    moments: images => encodeMoments(config, params, images),
    decode: z => decodeLatents(config, params, z),
    patch,
    normalisation:
      normalisation.per === 'all'
        ? (configuredNormalisation(folder, parameters, [1, embedDim]) ?? normalisation)
        : normalisation,
  };
};

const wan = ({ folder, arrays }: VerifyCase, parameters: Record<string, unknown>): Autoencoder => {
  const { config, params } = loadWan(folder, arrays, parameters, {});
  const { architecture, normalisation } = config;
  return {
    moments: images => encodeWan(architecture, params, images),
    decode: z => decodeWan(architecture, params, z),
    patch: [1, 1],
    normalisation: configuredNormalisation(folder, parameters, [1, architecture.zDim]) ?? normalisation,
  };
};

export const modernVaeSystems: VerifiedSystem[] = [
  { name: 'flux2', recognises: ({ system }) => /^FLUX\S* VAE\b/.test(textOf(system)), verify: verifier(ldm) },
  {
    name: 'wan',
    recognises: ({ system }) => /^(Wan|Qwen-Image)\b.* VAE\b/.test(textOf(system)),
    verify: verifier(wan),
  },
];

const textOf = (system: unknown): string => (typeof system === 'string' ? system : '');
