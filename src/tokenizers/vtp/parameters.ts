import { tf, type Tensor } from '../../engine/index.js';
import { loadParams, type HostArray, type Params } from '../../nn/index.js';
import type { OpenOptions } from '../tokenizer.js';
import type { VtpConfig, VtpStack } from './config.js';
import { isBuffer, vtpShapes } from './shapes.js';

/** The text tower, and what contrastive and self-supervised training used. */
const OTHER_TASKS =
  /^(text_\w+|token_embedding|positional_embedding|ln_final|attn_mask|visual_proj|logit_\w+|\w+_head)(\.|$)|\.bias_mask$/;

/**
 * Trunk and decoder as the forward pass wants them: the two halves of a gated MLP in one product, and the pairs that
 * positions turn side by side.
 */
export function loadVtp(
  name: string,
  weights: Record<string, HostArray>,
  config: VtpConfig,
  { allowMissing, log }: OpenOptions,
): Params {
  const raw = loadParams(name, weights, vtpShapes(config), {
    allowMissing,
    log,
    optional: isBuffer,
    ignores: key => OTHER_TASKS.test(key),
  });
  const ready = tf.tidy(() =>
    Object.fromEntries(
      Object.keys(raw).flatMap(key => {
        const stack = key.startsWith('trunk.') ? config.encoder : config.decoder;
        if (key.includes('.mlp.w2.')) return [];
        return [[key.replace('.mlp.w1.', '.mlp.w12.'), changed(stack, raw, key)] as const];
      }),
    ),
  );
  tf.dispose(raw);
  return ready;
}

function changed(stack: VtpStack, raw: Params, key: string): Tensor {
  if (key.includes('.mlp.w1.')) return tf.concat([raw[key], raw[key.replace('.w1.', '.w2.')]], 0);
  if (/\.attn\.(qkv|[qk]_norm)\./.test(key)) return tf.gather(raw[key], neighbours(stack, raw[key].shape[0]));
  return raw[key].clone();
}

/** Feature k of a head is turned with feature k + d/2: rows of queries and keys in an order that makes them neighbours. */
function neighbours({ width, heads }: VtpStack, rows: number): number[] {
  const d = width / heads;
  return Array.from({ length: rows }, (_, row) => {
    const within = row % d;
    return row < 2 * width ? row - within + (within >> 1) + (within % 2) * (d / 2) : row;
  });
}
