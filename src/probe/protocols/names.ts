import type { ProbeProtocol } from './protocol.js';

/** Probes: what help says of each, and its file, which is loaded when it is used: help needs no engine. */
export const PROBES = {
  logistic: { about: 'L-BFGS multinomial regression', load: () => import('./logistic.js') },
  knn: { about: 'nearest rows by cosine', load: () => import('./knn.js') },
  mae: { about: 'BatchNorm, LARS, cosine', load: () => import('./mae.js') },
  repa: { about: 'BatchNorm, LARS, cosine on token means', load: () => import('./repa.js') },
  dinov2: { about: '13 learning rates, the best on validation rows', load: () => import('./dinov2.js') },
  attentive: { about: 'a learned query over the tokens', load: () => import('./attentive.js') },
  'few-shot': { about: 'logistic on a few rows per class', load: () => import('./few-shot.js') },
} satisfies Record<string, { about: string; load: () => Promise<{ protocol: ProbeProtocol }> }>;
export type ProbeKind = keyof typeof PROBES;
