/** Discriminators by name; apart, so that --help wakes no engine. */
export const CRITICS = ['none', 'patchgan', 'dino'] as const;
