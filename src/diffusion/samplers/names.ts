import type { OfferedSampler } from './offered.js';

interface Listed {
  about: string;
  /** An ODE's paths are curves; an SDE's have noise added on the way. */
  solves: 'ode' | 'sde';
  load: () => Promise<{ offered: OfferedSampler }>;
}

/** Samplers: what help says of each, and its file, which is loaded when it is used: help needs no engine. */
export const SAMPLERS = {
  euler: { about: 'one evaluation a step', solves: 'ode', load: () => import('./euler.js') },
  heun: { about: 'two, one in the last step', solves: 'ode', load: () => import('./heun.js') },
  midpoint: { about: 'two', solves: 'ode', load: () => import('./midpoint.js') },
  rk4: { about: 'four', solves: 'ode', load: () => import('./rk4.js') },
  'dpm++': { about: 'one, and the one before', solves: 'ode', load: () => import('./dpm-solver.js') },
  dopri5: { about: 'adaptive', solves: 'ode', load: () => import('./dopri5.js') },
  sde: { about: 'stochastic', solves: 'sde', load: () => import('./sde.js') },
  'sde-heun': { about: 'stochastic, two evaluations a step', solves: 'sde', load: () => import('./sde-heun.js') },
} satisfies Record<string, Listed>;
export type SamplerName = keyof typeof SAMPLERS;
