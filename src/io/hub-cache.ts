import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, readFile, symlink } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { writeFileAtomic } from './atomic.js';
import { openBytes } from './bytes.js';
import { sha256OfFile } from './digest.js';
import { makeFolder } from './folder.js';

/*
 * The cache that Python's huggingface_hub keeps, so that both share their downloads:
 * models--OWNER--NAME/{refs/REVISION, snapshots/COMMIT/PATH → ../../blobs/ETAG, blobs/ETAG}, and while a blob is being
 * fetched .locks/models--OWNER--NAME/ETAG.lock.
 */

/** One repository's part of the cache. */
export interface RepositoryCache {
  /** The commit that a branch or tag last stood for; a commit stands for itself. */
  commitOf(revision: string): Promise<string | undefined>;
  remember(revision: string, commit: string): Promise<void>;
  /** Where a file of a commit is, or would be. */
  snapshot(commit: string, path: string): string;
  blob(etag: string): string;
  /** The file by whose lock one process at a time fetches a blob, Python's among them. */
  lock(etag: string): string;
  /** Gives a finished blob its name in a commit. */
  link(etag: string, commit: string, path: string): Promise<string>;
}

/** `HF_HUB_CACHE`, `HF_HOME/hub`, or `~/.cache/huggingface/hub`, as in Python. */
export function cacheFolder(): string {
  const { HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME, XDG_CACHE_HOME } = process.env;
  const home = HF_HOME ?? join(XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'huggingface');
  return HF_HUB_CACHE ?? HUGGINGFACE_HUB_CACHE ?? join(home, 'hub');
}

export function repositoryCache(folder: string, repository: string): RepositoryCache {
  const name = `models--${repository.replace('/', '--')}`;
  const root = join(folder, name);
  const snapshot = (commit: string, path: string): string => join(root, 'snapshots', commit, path);
  const blob = (etag: string): string => join(root, 'blobs', etag);
  return {
    async commitOf(revision) {
      if (isCommit(revision)) return revision;
      const path = join(root, 'refs', revision);
      return existsSync(path) ? (await readFile(path, 'utf8')).trim() : undefined;
    },
    async remember(revision, commit) {
      if (!isCommit(revision)) await writeFileAtomic(join(root, 'refs', revision), commit, { force: true });
    },
    snapshot,
    blob,
    lock: etag => join(folder, '.locks', name, `${etag}.lock`),
    async link(etag, commit, path) {
      const name = snapshot(commit, path);
      await makeFolder(dirname(name));
      // File systems without links (and Windows without the right to make them) get a copy.
      await symlink(relative(dirname(name), blob(etag)), name).catch(() => copyFile(blob(etag), name));
      return name;
    },
  };
}

const isCommit = (revision: string): boolean => /^[0-9a-f]{40}$/.test(revision);

/** Whether a file has the identity that the hub states: SHA-256 of large files, Git's own of small ones. */
export async function hasIdentity(path: string, { sha256, oid }: { sha256?: string; oid?: string }): Promise<boolean> {
  if (sha256 !== undefined) return (await sha256OfFile(path)) === sha256;
  const file = await openBytes(path);
  const content = await file.read(0, file.size).finally(() => file.close());
  const header = `blob ${content.length}\0`;
  return createHash('sha1').update(header).update(content).digest('hex') === oid;
}
