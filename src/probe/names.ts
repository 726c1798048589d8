/* The words of this room, which types, options and help are made of. Nothing here needs an engine. */

/** The input of a probe. */
export const FEATURES = {
  flattened: 'all values of a latent',
  mean: 'each channel’s mean over the tokens',
};
export type Feature = keyof typeof FEATURES;

/** How neighbours vote. */
export const VOTES = {
  weighted: 'by exp(similarity / 0.07), as in DINO',
  majority: 'one each, as in scikit-learn',
};
export type Votes = keyof typeof VOTES;

/** Controls to compare a probe's accuracy with; `none` is the probe itself. */
export const CONTROLS = {
  none: 'the features themselves',
  'shuffled-labels': 'the level of chance',
  'random-projection': 'every source reduced to the same number of dimensions, on random axes',
  pca: 'likewise on principal axes',
};
export type ProbeControl = keyof typeof CONTROLS;
