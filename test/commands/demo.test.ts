import { expect, test } from '@jest/globals';
import { maetok } from '../helpers/cli.js';

test('on WebAssembly the demo trains for fewer steps, and says so', async () => {
  const [whole, short] = [await maetok('demo', '--dry-run'), await maetok('demo', '--dry-run', '--engine', 'wasm')];
  const steps = (text: string): number[] => [...text.matchAll(/ --steps (\d+)/g)].map(([, count]) => Number(count));
  expect(short.stderr).toMatch(/a quarter of the demo’s steps.*maetok engine install/);
  const [long, less] = [whole, short].map(({ stdout }) => steps(stdout));
  expect(less).toHaveLength(long.length);
  expect(less[0]).toBe(process.env.MAETOK_ENGINE === 'wasm' ? long[0] : Math.ceil(long[0] / 4));
});
