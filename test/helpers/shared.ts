import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe } from '@jest/globals';

/** Recorded cases, pictures and weights that stand beside a checkout on some machines; the package does not ship them. */
export const SHARED = fileURLToPath(new URL('../../../shared', import.meta.url));

/** A describe block that needs `shared/<path>` and is skipped, by name, where that is absent. */
export function describeWithShared(path: string, name: string, body: () => void): void {
  const block = existsSync(`${SHARED}/${path}`) ? describe : describe.skip;
  block(`${name} (needs ../shared/${path})`, body);
}
