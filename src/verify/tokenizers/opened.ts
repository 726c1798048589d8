import { tf, type Tensor, type Tensor3D, type Tensor4D } from '../../engine/index.js';
import { UserError } from '../../base/index.js';
import { channelsFirst, channelsLast, type HostArray } from '../../nn/index.js';
import { tensorOf } from '../../nn/layout.js';
import type { NdArray } from '../../io/index.js';
import { FAMILIES } from '../../tokenizers/registry.js';
import { toGrid, toTokens } from '../../tokenizers/grid.js';
import type { Tokenizer } from '../../tokenizers/tokenizer.js';
import type { VerifiedSystem, Verifier, VerifyCase } from '../case.js';

/**
 * Any system, by the door that users take: weights and `config` as its files hold them are opened by whichever family
 * recognises them. A latent is recorded as tokens [n, t, c] or as a grid [n, c, h, w].
 */
const verify: Verifier = async recorded => {
  const { inputs, wants } = recorded;
  const tokenizer = await opened(recorded);
  const image = channelsLast(tensorOf(inputs['input.image'])) as Tensor4D;
  const z = await tokenizer.encode(image);
  const results: Record<string, Tensor> = { 'output.latent': laidOutAs(recorded.recorded['output.latent'], z) };
  if (wants('output.reconstruction')) results['output.reconstruction'] = channelsFirst(await tokenizer.decode(z));
  if (wants('output.decoded'))
    results['output.decoded'] = channelsFirst(await tokenizer.decode(tokensOf(inputs['input.latent'])));
  tokenizer.dispose();
  return results;
};

async function opened({ folder, config, arrays }: VerifyCase): Promise<Tokenizer> {
  const source = {
    name: folder,
    weights: arrays as Record<string, NdArray>,
    config: config.config as Record<string, unknown>,
    digest: '',
  };
  const family = FAMILIES.find(({ recognises }) => recognises(source));
  if (!family) throw new UserError(`${folder}: its weights are of no tokenizer that maetok knows`);
  return await family.open(source, {});
}

const laidOutAs = ({ shape }: HostArray, z: Tensor3D): Tensor => (shape.length === 4 ? channelsFirst(toGrid(z)) : z);

const tokensOf = (latent: HostArray): Tensor3D =>
  tf.tidy(() => (latent.shape.length === 4 ? toTokens(channelsLast(tensorOf(latent))) : tensorOf(latent)) as Tensor3D);

export const openedSystem: VerifiedSystem = {
  name: 'encode-decode',
  recognises: ({ kind }) => kind === 'encode-decode',
  verify,
};
