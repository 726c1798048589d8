import { readdirSync, realpathSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { messageOf, UserError, type Log } from '../../base/index.js';
import { isImageName, sha256OfText } from '../../io/index.js';
import type { ImageSource } from '../dataset.js';

interface Found {
  /** Path below the root, with forward slashes. */
  name: string;
  bytes: number;
  /** Why it is known beforehand to be unreadable. */
  problem?: string;
}

/**
 * A folder of images: class folders (ImageFolder: class = folder, classes and files in byte order of their names) or
 * images without classes. A class folder without images keeps its label, so that none shifts, and is warned of.
 * The digest covers the names below the folder and the files' sizes, not their contents.
 */
export function openFolder(root: string, log: Log): ImageSource {
  const { folders, files } = entries(root);
  const direct = files.filter(isImageName).map(name => measured(root, name));
  const perClass = folders.map(folder => imagesBelow(root, folder, [realpathSync(root)]));
  const empty = folders.filter((_, i) => perClass[i].length === 0);
  const isClassed = empty.length < folders.length;
  if (direct.length > 0 && isClassed)
    throw new UserError(
      `${root}: holds images (${direct[0].name}) and folders of images (${perClass.find(list => list.length > 0)![0].name}); ` +
        'put all into class folders or none',
    );
  const found = [...direct, ...perClass.flat()];
  if (found.length === 0)
    throw new UserError(`${root}: holds no images (png, jpg, webp, …), neither directly nor in class folders`);
  if (isClassed && empty.length > 0)
    log.warn(
      `${root}: ${empty.length} of ${folders.length} class folders hold no images (${shortList(empty)}); ` +
        'they keep their labels, so that those of the others do not shift',
    );
  return {
    name: basename(root),
    count: found.length,
    classes: isClassed ? folders : [],
    ...(isClassed && { labels: Int32Array.from(perClass.flatMap((list, label) => list.map(() => label))) }),
    digest: sha256OfText(found.map(({ name, bytes }) => `${name} ${bytes}\n`).join('')),
    imageName: index => join(root, found[index].name),
    stored: index => {
      const { name, problem } = found[index];
      const path = join(root, name);
      return problem === undefined
        ? Promise.resolve({ path })
        : Promise.reject(new UserError(`${path}: cannot be read as an image: ${problem}`));
    },
  };
}

const shortList = (names: string[]): string => names.slice(0, 5).join(', ') + (names.length > 5 ? ', …' : '');

/** `above`: the real paths of the folders around, which a link may not lead back to. */
function imagesBelow(root: string, folder: string, above: string[]): Found[] {
  const path = realpathSync(join(root, folder));
  if (above.includes(path)) return [];
  const { folders, files } = entries(join(root, folder));
  const here = files.filter(isImageName).map(name => measured(root, `${folder}/${name}`));
  return [...here, ...folders.flatMap(below => imagesBelow(root, `${folder}/${below}`, [...above, path]))];
}

/** Detects what cannot be opened as a file (a pipe would block), so that only reading it fails. */
function measured(root: string, name: string): Found {
  try {
    const stats = statSync(join(root, name));
    return { name, bytes: stats.size, ...(!stats.isFile() && { problem: 'is not a regular file' }) };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return { name, bytes: 0, problem: code === 'ENOENT' ? 'a broken link' : messageOf(error) };
  }
}

/** Files that operating systems add to a user's folders. */
const isHidden = (name: string): boolean => name.startsWith('.') || name === '__MACOSX';

/**
 * Files and folders, links followed, hidden ones left out, each in byte order of their names.
 * @throws UserError for a folder that cannot be listed.
 */
export function entries(folder: string): { folders: string[]; files: string[] } {
  const kinds = listed(folder)
    .filter(entry => !isHidden(entry.name))
    .map(entry => ({
      name: entry.name,
      isFolder: entry.isSymbolicLink() ? leadsToFolder(join(folder, entry.name)) : entry.isDirectory(),
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    folders: kinds.filter(kind => kind.isFolder).map(kind => kind.name),
    files: kinds.filter(kind => !kind.isFolder).map(kind => kind.name),
  };
}

function listed(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    throw new UserError(`${folder}: cannot be listed: ${messageOf(error)}`, undefined, { cause: error });
  }
}

function leadsToFolder(link: string): boolean {
  try {
    return statSync(link).isDirectory();
  } catch {
    return false;
  }
}
