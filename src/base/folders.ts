import { readdirSync, type Dirent } from 'node:fs';
import { join } from 'node:path';

export interface FoldersOptions {
  /** How many levels below the root are looked into. */
  depth: number;
  /** Folders looked into at most. */
  most?: number;
  /** Does not look below a folder for which this is true. */
  isLeaf?: (names: ReadonlySet<string>) => boolean;
}

export interface FoundFolder {
  path: string;
  /** What it holds. */
  names: ReadonlySet<string>;
}

/**
 * A folder and those below it, level by level, in the order of their names. Hidden folders, `node_modules` and what links
 * lead to are left out, and so is what may not be read.
 */
export function* foldersBelow(
  root: string,
  { depth, most = 100_000, isLeaf = () => false }: FoldersOptions,
): Generator<FoundFolder> {
  let level = [root];
  let seen = 0;
  for (let down = 0; down <= depth && level.length > 0; down++) {
    const next: string[] = [];
    for (const path of level) {
      if (seen++ >= most) return;
      const entries = entriesOf(path);
      const names = new Set(entries.map(({ name }) => name));
      yield { path, names };
      if (!isLeaf(names)) next.push(...entries.filter(isOpen).map(({ name }) => join(path, name)));
    }
    level = next;
  }
}

const isOpen = (entry: Dirent): boolean =>
  entry.isDirectory() && !entry.name.startsWith('.') && entry.name !== 'node_modules';

function entriesOf(path: string): Dirent[] {
  try {
    return readdirSync(path, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch {
    return [];
  }
}
