import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { requireSharedFolder } from '../../src/distributed/index.js';
import { asRanks } from '../helpers/ranks.js';
import { tempFolder } from '../helpers/temp.js';

const root = tempFolder();
const made = (name: string): string => {
  mkdirSync(join(root, name));
  return join(root, name);
};

test('a folder that all ranks see is left as it was', async () => {
  const folder = made('shared');
  await asRanks(3, communicator => requireSharedFolder(communicator, folder));
  expect(readdirSync(folder)).toEqual([]);
});

test('a folder that is another one for a rank is refused by all, with the rank’s name and host', async () => {
  const folders = [made('first'), made('other')];
  const check = asRanks(2, communicator => requireSharedFolder(communicator, folders[communicator.rank]));
  await expect(check).rejects.toThrow(
    /^.*: rank 1 on \S+ does not see what rank 0 on \S+ writes there .*all hosts share$/,
  );
  expect(folders.map(folder => readdirSync(folder))).toEqual([[], []]);
});
