import { tf, type Tensor } from '../engine/index.js';
import { conv2d, linear, silu, under, type Params } from '../nn/index.js';
import type { NetworkConfig } from './config.js';
import { tokenGrid } from './positions.js';

/** One of REPA's projectors on the tokens [n, sequence, width] of the block that it is attached to → [n, sequence, features]. */
export function project(config: NetworkConfig, params: Params, tokens: Tensor): Tensor {
  return tf.tidy(() =>
    config.projectors?.kind === 'conv'
      ? convolved(config, under(params, 'projection_layer'), tokens)
      : perceptron(params, tokens),
  );
}

function perceptron(params: Params, tokens: Tensor): Tensor {
  const hidden = silu(linear(under(params, '2'), silu(linear(under(params, '0'), tokens))));
  return linear(under(params, '4'), hidden);
}

function convolved(config: NetworkConfig, params: Params, tokens: Tensor): Tensor {
  const [n, sequence, width] = tokens.shape as [number, number, number];
  return conv2d(params, tokens.reshape([n, ...tokenGrid(config)!, width])).reshape([n, sequence, -1]);
}

const EPSILON = 1e-6;

/**
 * iREPA's spatial normalisation (Singh et al. 2025): of each image's features [n, t, features] their mean over the
 * tokens is taken off, `share` of it, and their (unbiased) standard deviation is divided out.
 */
export function spatiallyNormalised(features: Tensor, share: number): Tensor {
  return tf.tidy(() => {
    const mean = features.mean(1, true);
    const variance = features
      .sub(mean)
      .square()
      .sum(1, true)
      .div(features.shape[1]! - 1);
    return features.sub(mean.mul(share)).div(variance.sqrt().add(EPSILON));
  });
}
