import { tf, type Tensor, type Tensor4D } from '../engine/index.js';
import type { NdArray } from '../io/index.js';
import { channelsLast } from '../nn/index.js';
import { tensorOf } from '../nn/layout.js';
import { finalNorm, imageEmbedding, pooled, readVision, visionTokens } from '../vision/index.js';
import type { VerifiedSystem, Verifier } from './case.js';

/** Frozen encoders as transformers runs them: last_hidden_state, hidden_states, pooled outputs. */
const verifyVision: Verifier = async ({ folder, config: about, arrays, inputs, recorded }) => {
  const { config, params } = await readVision({
    name: folder,
    weights: arrays as Record<string, NdArray>,
    config: about,
  });
  const layers = Object.keys(recorded)
    .flatMap(name => /^output\.hidden_(\d+)$/.exec(name)?.[1] ?? [])
    .map(Number);
  const pixels = channelsLast(tensorOf(inputs['input.pixel_values'])) as Tensor4D;
  return tf.tidy(() => {
    const found = visionTokens(config, params, pixels, { layers });
    const vector = pooled(config, params, found.hidden);
    const outputs: Record<string, Tensor | undefined> = {
      // CLIP's last norm is of the pooled token only.
      'output.last_hidden_state': config.family === 'clip' ? found.last : finalNorm(config, params, found.last),
      'output.pooler_output': vector,
      'output.image_embeds': imageEmbedding(params, vector),
      ...Object.fromEntries(layers.map((layer, i) => [`output.hidden_${layer}`, found.layers[i]])),
    };
    return Object.fromEntries(
      Object.entries(outputs).filter((entry): entry is [string, Tensor] => entry[1] !== undefined),
    );
  });
};

export const visionSystem: VerifiedSystem = {
  name: 'frozen encoder',
  recognises: ({ system }) => String(system).startsWith('frozen encoder'),
  verify: verifyVision,
};
