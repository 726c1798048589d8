import { randomUUID } from 'node:crypto';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { EXIT, UserError } from '../base/index.js';
import type { Communicator } from './communicator.js';
import { gatherValues } from './exchange.js';
import { byFirst } from './outcome.js';

/** How long other hosts may take to see a new file: those of NFS remember for a while what was not there. */
const PATIENCE_MS = 5000;
const POLL_MS = 100;

/**
 * Checks that a folder, which exists for rank 0, is the same for all ranks: rank 0 writes a file there for which the others look.
 * @throws UserError on every rank, naming the first that does not see it, and its host.
 */
export async function requireSharedFolder(communicator: Communicator, folder: string): Promise<void> {
  if (communicator.size === 1) return;
  const token = await byFirst(communicator, async () => {
    const made = { name: `.maetok-${randomUUID()}`, content: randomUUID() };
    await writeFile(join(folder, made.name), made.content);
    return made;
  });
  const patience = communicator.hosts === 1 ? 0 : PATIENCE_MS;
  const seen = communicator.rank === 0 || (await appears(join(folder, token.name), token.content, patience));
  const all = await gatherValues(communicator, { seen, folder: resolve(folder), host: hostname() });
  if (communicator.rank === 0) await rm(join(folder, token.name), { force: true });
  await communicator.barrier();
  const blind = all.findIndex(one => !one.seen);
  if (blind < 0) return;
  throw new UserError(
    `${folder}: rank ${blind} on ${all[blind].host} does not see what rank 0 on ${all[0].host} writes there (${all[blind].folder}); choose a folder that all hosts share`,
    EXIT.failed,
  );
}

async function appears(file: string, content: string, patience: number): Promise<boolean> {
  const end = performance.now() + patience;
  for (;;) {
    // Listing the folder makes a client of NFS ask its server again.
    await readdir(dirname(file)).catch(() => []);
    if ((await readFile(file, 'utf8').catch(() => '')) === content) return true;
    if (performance.now() >= end) return false;
    await pause(POLL_MS);
  }
}
