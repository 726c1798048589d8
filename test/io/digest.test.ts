import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { combinedDigest, sha256OfFile, sha256OfText } from '../../src/io/index.js';
import { tempFolder } from '../helpers/temp.js';

const folder = tempFolder();

test('a file’s digest is SHA-256 of its bytes (FIPS 180-2, appendix B.1)', async () => {
  const path = join(folder, 'abc');
  await writeFile(path, 'abc');
  const expected = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
  expect(await sha256OfFile(path)).toBe(expected);
  expect(sha256OfText('abc')).toBe(expected);
});

test('a combined digest depends on names and digests, not on their order', () => {
  expect(combinedDigest({ a: '1', b: '2' })).toBe(combinedDigest({ b: '2', a: '1' }));
  expect(combinedDigest({ a: '1', b: '2' })).not.toBe(combinedDigest({ a: '2', b: '1' }));
  expect(combinedDigest({ a: '1', b: '2' })).not.toBe(combinedDigest({ 'a" 1\n"b': '2' }));
});
