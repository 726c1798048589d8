import { hasKernels, operand } from '../engine/index.js';
import type { Params } from './params.js';

/** Weights of linear layers, which enter products and nothing else. */
const OF_PRODUCTS = /(^|\.)(attn\.(qkv|proj)|mlp\.(fc1|fc2|w12|w3)|adaLN_modulation\.1)\.weight$/;

/**
 * Parameters for many forward passes and no training: under `--precision bf16` the weights of products are rounded
 * here, once, and not at every use. Takes over what it is given: each weight is gone before the next is rounded.
 */
export function roundedOnce(params: Params): Params {
  return Object.fromEntries(
    Object.entries(params).map(([name, weight]) => {
      const rounded = hasKernels() && OF_PRODUCTS.test(name) ? operand(weight) : weight;
      if (rounded !== weight) weight.dispose();
      return [name, rounded];
    }),
  );
}
