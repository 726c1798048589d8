import { existsSync } from 'node:fs';
import { basename, extname } from 'node:path';

export interface NamedInput {
  /** What the `source` column calls it. */
  name: string;
  path: string;
}

/** `mae=latents/mae` is called mae; an input without a name is called after its last part, without its extension. */
export function namedInput(input: string): NamedInput {
  const at = input.indexOf('=');
  if (at > 0 && !existsSync(input)) return { name: input.slice(0, at), path: input.slice(at + 1) };
  return { name: basename(input, extname(input)), path: input };
}
