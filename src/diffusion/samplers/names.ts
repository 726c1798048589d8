import type { OfferedSampler } from './offered.js';

/** Samplers: what help says of each, and its file, which is loaded when it is used: help needs no engine. */
export const SAMPLERS = {
  euler: { about: 'one evaluation a step', load: () => import('./euler.js') },
  heun: { about: 'two, one in the last step', load: () => import('./heun.js') },
  midpoint: { about: 'two', load: () => import('./midpoint.js') },
  rk4: { about: 'four', load: () => import('./rk4.js') },
  'dpm++': { about: 'one, and the one before', load: () => import('./dpm-solver.js') },
  dopri5: { about: 'adaptive', load: () => import('./dopri5.js') },
  sde: { about: 'stochastic', load: () => import('./sde.js') },
  'sde-heun': { about: 'stochastic, two evaluations a step', load: () => import('./sde-heun.js') },
} satisfies Record<string, { about: string; load: () => Promise<{ offered: OfferedSampler }> }>;
export type SamplerName = keyof typeof SAMPLERS;
