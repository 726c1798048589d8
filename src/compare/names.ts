/** What a study's summary says of a latent space, in the order of its columns. */
export const MEASURE_NAMES = [
  'nll_per_dim',
  'gain',
  'probe',
  'diffusion_loss',
  'reconstruction',
  'reconstruction_distance',
  'generation',
] as const;
export type MeasureName = (typeof MEASURE_NAMES)[number];
