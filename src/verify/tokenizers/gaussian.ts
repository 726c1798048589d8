import { tf, valueAndGradients, type Tensor } from '../../engine/index.js';
import type { VerifyCase } from '../case.js';
import type { Params } from '../../nn/index.js';
import { tensorOf } from '../../nn/layout.js';
import { klPerImage, posterior } from '../../tokenizers/posterior.js';

/* Outputs that the recorded cases of several tokenizer families have in common. */

/** What a case recorded of a posterior whose moments lie beyond the clamp (`out.extreme_*`). */
export function gaussianOutputs({ inputs }: VerifyCase): Record<string, Tensor> {
  if (!Object.hasOwn(inputs, 'in.moments_extreme')) return {};
  const moments = tensorOf(inputs['in.moments_extreme']);
  const { mean, logVariance } = posterior(moments);
  const variance = tf.exp(logVariance);
  const density = logVariance
    .add(Math.log(2 * Math.PI))
    .add(mean.square().div(variance))
    .mul(0.5);
  return {
    'out.extreme_mean': mean,
    'out.extreme_logvar': logVariance,
    'out.extreme_var': variance,
    'out.extreme_std': tf.exp(logVariance.mul(0.5)),
    'out.extreme_kl_per_sample': klPerImage({ mean, logVariance }),
    'out.extreme_nll_of_zero': density.reshape([moments.shape[0], -1]).sum(1),
  };
}

/**
 * A recorded training loss with the gradients that the case kept: `out.train_loss`, `out.grad_norms` (L2 norms in the
 * order of the config's `grad_norms_order`) and `out.grad.<name>`. `names` maps our keys to the case's.
 */
export function gradientOutputs(
  { config, wants }: VerifyCase,
  params: Params,
  names: Record<string, string>,
  loss: (params: Params) => Tensor,
): Record<string, Tensor> {
  if (!wants('out.train_loss')) return {};
  const order = (config.grad_norms_order ?? []) as string[];
  const byName = new Map(Object.entries(names).map(([ours, theirs]) => [theirs, ours]));
  const wanted = Object.keys(params).filter(
    key => Object.hasOwn(names, key) && (order.includes(names[key]) || wants(`out.grad.${names[key]}`)),
  );
  const { value, grads } = tf.tidy(() => differentiate(params, wanted, loss));
  const norms = tf.tidy(() =>
    tf.stack(order.map(name => grads[byName.get(name) ?? name].square().sum().sqrt())).as1D(),
  );
  const kept = wanted.filter(key => wants(`out.grad.${names[key]}`));
  tf.dispose(wanted.filter(key => !kept.includes(key)).map(key => grads[key]));
  return {
    'out.train_loss': value,
    'out.grad_norms': norms,
    ...Object.fromEntries(kept.map(key => [`out.grad.${names[key]}`, grads[key]])),
  };
}

/** Value and gradients of a loss with respect to the named parameters; zeros where it does not depend on one. */
function differentiate(
  params: Params,
  wanted: string[],
  loss: (params: Params) => Tensor,
): { value: Tensor; grads: Params } {
  const tensors = wanted.map(key => params[key]);
  const { value, gradients } = valueAndGradients(() => loss(params).asScalar(), tensors);
  return {
    value: value.reshape([1]),
    grads: Object.fromEntries(wanted.map((key, i) => [key, gradients[i] ?? tf.zerosLike(tensors[i])])),
  };
}
