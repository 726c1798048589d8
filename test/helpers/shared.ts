import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, test } from '@jest/globals';

/** Recorded cases, images and weights that stand beside a checkout on some machines; the package does not ship them. */
export const SHARED = fileURLToPath(new URL('../../../shared', import.meta.url));

/** A describe block that needs `shared/<path>`; where that is absent its body never runs and one skipped test says so. */
export function describeWithShared(path: string, name: string, body: () => void): void {
  if (existsSync(`${SHARED}/${path}`)) describe(name, body);
  else test.skip(`${name} (needs ../shared/${path})`, () => undefined);
}
