/** Discriminators by name; apart, so that --help starts no engine. */
export const CRITICS = ['none', 'patchgan', 'dino'] as const;
