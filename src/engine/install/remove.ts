import { rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { withLock, type Log } from '../../base/index.js';
import { engineCache, installedEngines, type Build } from '../installed.js';

/** Removes every installed engine of this build; returns the folders that are gone. */
export async function removeEngine(
  build: Build,
  { log, signal, cache = engineCache() }: { log: Log; signal?: AbortSignal; cache?: string },
): Promise<string[]> {
  const folders = installedEngines(cache)
    .filter(engine => engine.build === build)
    .map(({ folder }) => folder);
  for (const folder of folders) {
    await withLock(`${folder}.lock`, { log, signal }, async () => {
      // Under another name first: an engine that is half gone must not be taken for one.
      const aside = join(cache, `.${basename(folder)}-removed`);
      await rename(folder, aside);
      await rm(aside, { recursive: true });
    });
  }
  return folders;
}
