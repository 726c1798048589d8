/** The measures of a latent space that a study's claims may be about, in the order of the summary's columns. */
export const MEASURE_NAMES = [
  'nll_per_dim',
  'gain',
  'best_components',
  'effective_components',
  'modes',
  'floor',
  'probe',
  'diffusion_loss',
  'reconstruction',
  'reconstruction_distance',
  'generation',
] as const;
export type MeasureName = (typeof MEASURE_NAMES)[number];

/** What the one-line comparison trains or draws on request. */
export const EXTRAS = {
  diffusion: 'a small diffusion model on each latent space',
  samples: 'and samples of it, decoded, against the images (tokenizers and --data)',
} as const;
export type Extra = keyof typeof EXTRAS;

/** The kinds of a study's steps, by the words under which it has their flags. */
export const STEP_KINDS = [
  'train',
  'extract',
  'gmm',
  'probe',
  'diagnose',
  'umap',
  'diffusion',
  'sample',
  'evaluate',
] as const;
export type StepKind = (typeof STEP_KINDS)[number];

/** What runs the steps of a study. */
export const LAUNCHERS = {
  local: 'in this process, or with --jobs in several',
  mpi: 'here, those that can share their work in ranks started by mpirun',
  slurm: 'each a job of the cluster, which waits for those that it needs',
} as const;
