import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { writeFileAtomic } from '../../src/io/index.js';
import { tempFolder } from '../helpers/temp.js';

const folder = tempFolder();

test('a file is written into folders that are made for it', async () => {
  const path = join(folder, 'a', 'b', 'c.txt');
  await writeFileAtomic(path, 'whole');
  expect(await readFile(path, 'utf8')).toBe('whole');
});

// Node's own recursive mkdir never returns there.
const onProc = existsSync('/proc/self') ? test : test.skip;
onProc('a folder in which none can be made is an error, not an endless try', async () => {
  await expect(writeFileAtomic('/proc/none/of/these.txt', '')).rejects.toMatchObject({ path: '/proc/none' });
});
