import { z } from 'zod';
import { tf, valueAndGradients, type Tensor } from '../../engine/index.js';
import { silu, under } from '../../nn/index.js';
import { tensorOf } from '../../nn/layout.js';
import { networkConfig, side, type NetworkConfig } from '../../diffusion/config.js';
import { mix } from '../../diffusion/guidance.js';
import { alignmentLoss } from '../../diffusion/loss.js';
import { earlyPrediction } from '../../diffusion/network.js';
import { project, spatiallyNormalised } from '../../diffusion/projectors.js';
import { caseConfig, type VerifyCase } from '../case.js';
import { recordedOnly, type Results } from './case.js';

/* iREPA's alignment, and internal guidance by an early prediction. Tokens are [n, sequence, width] here too. */

const CASE = z.object({
  parameters: z.object({
    side,
    width: side,
    features: side,
    channels: side,
    spatial_mean: z.number(),
    scale: z.number(),
  }),
});

type Parameters = z.output<typeof CASE>['parameters'];

const architecture = ({ side: rows, width, features, channels }: Parameters): NetworkConfig =>
  networkConfig(
    'lightningdit-tiny',
    { tokens: rows ** 2, channels, grid: [rows, rows] },
    { classes: 1, width, projectors: { after: 1, kind: 'conv', width, features: [features] }, early: { after: 1 } },
  );

export function verifyIrepaAndEarly(recorded: VerifyCase): Promise<Results> {
  const { parameters } = caseConfig(recorded, CASE);
  const config = architecture(parameters);
  const { inputs, weights } = recorded;
  const kernel = weights['projectors.0.projection_layer.weight'];
  const tokens = tensorOf(inputs['input.tokens']);
  const aim = (): Tensor => spatiallyNormalised(tensorOf(inputs['input.features']), parameters.spatial_mean);
  const projected = (): Tensor => project(config, under(weights, 'projectors.0'), tokens);
  const { value: loss, gradients } = valueAndGradients(() => alignmentLoss([projected()], [aim()]), [tokens, kernel]);
  const values = tf.tidy(() => {
    const guide = silu(tensorOf(inputs['input.time']).add(tensorOf(inputs['input.block'])));
    const early = earlyPrediction(config, weights, guide);
    const whole = tensorOf(inputs['input.whole']);
    return {
      'output.projected': projected(),
      'output.normalised': aim(),
      'output.early': early,
      'output.guided': mix(early, whole, whole, { scale: parameters.scale, interval: [0, 1], rescale: 0 }),
    };
  });
  tokens.dispose();
  return Promise.resolve(
    recordedOnly(recorded, {
      ...values,
      'output.alignment': loss,
      'output.grad.tokens': gradients[0] as Tensor,
      'output.grad.weight': gradients[1] as Tensor,
    }),
  );
}
