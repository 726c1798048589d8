/* The words of training losses, which types, options and help are made of. Nothing here needs an engine. */

/** Discriminators. */
export const CRITICS = {
  none: 'no discriminator',
  patchgan: 'convolutions that judge patches of images',
  dino: 'heads on a frozen DINO ViT',
};

/** What discriminator and tokenizer play for: hinges, or cross-entropy in its non-saturating form. */
export const ADVERSARIAL = ['hinge', 'non-saturating'] as const;
export type Adversarial = (typeof ADVERSARIAL)[number];
