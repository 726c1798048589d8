/* The words of this room, which types and options are made of. */

/** Which part of a data set is meant. */
export const SPLITS = ['train', 'val', 'all'] as const;
export type SplitName = (typeof SPLITS)[number];

/**
 * What is done to training images besides fitting them: nothing, mirroring, or MAETok's recipe, which resizes the
 * shorter side to a random length in [size, 1.25 size], crops at random and mirrors.
 */
export const AUGMENTATIONS = ['none', 'flip', 'random-crop'] as const;
export type Augmentation = (typeof AUGMENTATIONS)[number];
