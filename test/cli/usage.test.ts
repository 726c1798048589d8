import { describe, expect, test } from '@jest/globals';
import { maetok } from '../helpers/cli.js';

describe('the command line', () => {
  test('no command: one line, exit 2', async () => {
    const { code, stderr } = await maetok();
    expect(code).toBe(2);
    expect(stderr).toMatch(/no command given/);
  });

  test('a flag without its value: one line, exit 2', async () => {
    const { code, stderr } = await maetok('analyze-gmm', 'latents.npz', '--nulls', '--dims', '3');
    expect(code).toBe(2);
    expect(stderr).toBe('maetok: Not enough arguments following: nulls; `maetok analyze-gmm --help` shows what fits\n');
  });

  test('a table is not written under the name of an image', async () => {
    const { code, stderr } = await maetok('umap', 'latents.npz', '--out', 'umap.png');
    expect(code).toBe(2);
    expect(stderr).toMatch(/--out.*must be a table \(\.csv\)/);
  });

  test('--version prints the version', async () => {
    const { code, stdout } = await maetok('--version');
    expect(code).toBe(0);
    expect(stdout.trim()).toMatch(/^\d+\.\d+\.\d+/);
  });
});
