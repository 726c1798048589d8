import { readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { UserError } from '../../base/index.js';
import { isImageName, sha256OfText } from '../../io/index.js';
import type { ImageSource } from '../dataset.js';

interface Found {
  /** Path below the root, with forward slashes. */
  name: string;
  bytes: number;
}

/**
 * A folder of pictures: class folders (ImageFolder: class = folder, classes and files in byte order of their names) or
 * pictures without classes. The digest covers the names below the folder and the files' sizes, not their contents.
 */
export function openFolder(root: string): ImageSource {
  const { folders, files } = entries(root);
  const direct = files.filter(isImageName).map(name => measured(root, name));
  const perClass = folders.map(folder => imagesBelow(root, folder));
  const classes = folders.filter((_, i) => perClass[i].length > 0);
  const classed = perClass.filter(found => found.length > 0);
  if (direct.length > 0 && classed.length > 0)
    throw new UserError(
      `${root}: holds pictures (${direct[0].name}) and folders of pictures (${classes[0]}); put all into class folders or none`,
    );
  const found = [...direct, ...classed.flat()];
  if (found.length === 0)
    throw new UserError(`${root}: holds no pictures (png, jpg, webp, …), neither directly nor in class folders`);
  return {
    name: basename(root),
    count: found.length,
    classes,
    ...(classes.length > 0 && { labels: Int32Array.from(classed.flatMap((list, label) => list.map(() => label))) }),
    digest: sha256OfText(found.map(({ name, bytes }) => `${name} ${bytes}\n`).join('')),
    pictureName: index => join(root, found[index].name),
    stored: index => Promise.resolve({ path: join(root, found[index].name) }),
  };
}

function imagesBelow(root: string, folder: string): Found[] {
  const { folders, files } = entries(join(root, folder));
  const here = files.filter(isImageName).map(name => measured(root, `${folder}/${name}`));
  return [...here, ...folders.flatMap(below => imagesBelow(root, `${folder}/${below}`))];
}

const measured = (root: string, name: string): Found => ({ name, bytes: statSync(join(root, name)).size });

/** Files and folders, links followed, hidden ones left out, each in byte order of their names. */
export function entries(folder: string): { folders: string[]; files: string[] } {
  const kinds = readdirSync(folder, { withFileTypes: true })
    .filter(entry => !entry.name.startsWith('.'))
    .map(entry => ({
      name: entry.name,
      isFolder: entry.isSymbolicLink()
        ? (statSync(join(folder, entry.name), { throwIfNoEntry: false })?.isDirectory() ?? false)
        : entry.isDirectory(),
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    folders: kinds.filter(kind => kind.isFolder).map(kind => kind.name),
    files: kinds.filter(kind => !kind.isFolder).map(kind => kind.name),
  };
}
