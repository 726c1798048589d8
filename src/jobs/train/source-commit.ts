import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { inPackage } from '../../base/index.js';

/** The commit of maetok's own sources where it runs from a checkout; null for an installed package. */
export function sourceCommit(): string | null {
  if (!existsSync(inPackage('.git'))) return null;
  const { status, stdout } = spawnSync('git', ['-C', inPackage(''), 'rev-parse', 'HEAD'], { encoding: 'utf8' });
  return status === 0 ? stdout.trim() : null;
}
