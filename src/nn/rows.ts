import { tf, type Tensor } from '../engine/index.js';
import type { Params } from './params.js';

/** x [..., c] → [rows, c]. */
export const asRows = (x: Tensor): Tensor => x.reshape([-1, x.shape[x.rank - 1]]);

/** Rows [n, c] under the leading axes that `x` has. */
export const asBefore = (rows: Tensor, x: Tensor): Tensor =>
  rows.reshape([...x.shape.slice(0, -1), rows.shape[rows.rank - 1]]);

/** Weight and bias of a linear layer under its name; the bias 0 where the layer has none. */
export function layerOf(params: Params, name: string): [weight: Tensor, bias: Tensor] {
  const weight = params[`${name}.weight`];
  return [weight, `${name}.bias` in params ? params[`${name}.bias`] : tf.zeros([weight.shape[0]])];
}
