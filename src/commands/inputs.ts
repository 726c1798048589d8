import { existsSync } from 'node:fs';
import { basename, extname } from 'node:path';

export interface NamedInput {
  /** What the `source` column calls it. */
  name: string;
  path: string;
}

/** `mae=latents/mae` is called mae; an input without a name is called after its last part, without its extension. */
export function namedInput(input: string): NamedInput {
  // A `=` later on belongs to the input itself: `synthetic:scenes?count=50`.
  const named = /^([^=/:?]+)=(.+)$/.exec(input);
  if (named && !existsSync(input)) return { name: named[1], path: named[2] };
  return { name: basename(input, extname(input)), path: input };
}
