import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The commit of maetok's own sources where it runs from a checkout; null for an installed package. */
export function sourceCommit(): string | null {
  const root = fileURLToPath(new URL('../../..', import.meta.url));
  if (!existsSync(`${root}.git`)) return null;
  const { status, stdout } = spawnSync('git', ['-C', root, 'rev-parse', 'HEAD'], { encoding: 'utf8' });
  return status === 0 ? stdout.trim() : null;
}
