import type { Log } from '../../../base/index.js';
import { tf } from '../../../engine/index.js';
import type { Params } from '../../../nn/index.js';
import { openVision, type VisionConfig } from '../../../vision/index.js';

/** The frozen half of an RAE in training. */
export interface RaeEncoder {
  vision: VisionConfig;
  params: Params;
  digest: string;
}

/** Parameters of a vision transformer that patch tokens do not depend on: RAE's last norm has none. */
const UNREAD = /^(norm|pool|projection)\./;

export async function openEncoder(spec: string, log: Log): Promise<RaeEncoder> {
  const { config, params, digest } = await openVision(spec, { log });
  const kept = Object.entries(params).filter(([key]) => !UNREAD.test(key));
  tf.dispose(Object.keys(params).flatMap(key => (UNREAD.test(key) ? [params[key]] : [])));
  const vision = { ...config, normAffine: false, attentionPool: false, projection: undefined };
  return { vision, params: Object.fromEntries(kept), digest };
}
