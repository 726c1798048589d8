import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { parse } from 'yaml';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (name: string): string => readFileSync(`${ROOT}/${name}`, 'utf8');
const manifest = JSON.parse(read('package.json')) as { version: string; license: string };

test('the citation, the changelog and the licence are this version’s', () => {
  const citation = parse(read('CITATION.cff')) as Record<string, unknown>;
  expect(citation).toMatchObject({
    'cff-version': '1.2.0',
    message: expect.any(String),
    title: expect.any(String),
    version: manifest.version,
    license: manifest.license,
    authors: [{ name: expect.any(String) }],
    references: [{ type: 'conference-paper', title: expect.stringMatching(/Masked Autoencoders/) }],
  });
  expect(read('CHANGELOG.md')).toContain(`## [${manifest.version}]`);
  expect(read('LICENSE')).toMatch(/^MIT License/);
});
