/* Names that options offer, in a separate file so that --help need not start the engine. */

/** Samplers on the command line. */
export const SAMPLERS = ['euler', 'heun', 'midpoint', 'rk4', 'dpm++', 'dopri5', 'sde', 'sde-heun'] as const;
export type SamplerName = (typeof SAMPLERS)[number];

/** How much noise the stochastic samplers add over time (`samplers/sde.ts`). */
export const DIFFUSION_FORM_NAMES = [
  'constant',
  'sbdm',
  'sigma',
  'linear',
  'decreasing',
  'increasing-decreasing',
] as const;
export type DiffusionForm = (typeof DIFFUSION_FORM_NAMES)[number];

/** Ours first, then the published codes (`conventions.ts`). */
export const CONVENTION_NAMES = ['own', 'maetok', 'sit', 'lightningdit', 'repa', 'gft', 'scale-s'] as const;
export type ConventionName = (typeof CONVENTION_NAMES)[number];
