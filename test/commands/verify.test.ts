import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, it } from '@jest/globals';
import { readSafetensors, writeSafetensors } from '../../src/io/index.js';
import { maetok } from '../helpers/cli.js';
import { rowsOf } from '../helpers/csv.js';
import { tempFolder } from '../helpers/temp.js';

const GOLDEN = fileURLToPath(new URL('../../fixtures/golden/convolutional', import.meta.url));
const folder = tempFolder();
const wrong = join(folder, 'sdvae-wrong');

beforeAll(async () => {
  cpSync(`${GOLDEN}/sdvae-quant`, wrong, { recursive: true });
  const recorded = await readSafetensors(join(wrong, 'io.safetensors'));
  const mode = Float32Array.from(recorded['output.mode'].data as Float32Array);
  mode[5] += 0.01;
  recorded['output.mode'].data = mode;
  recorded['output.of_another_kind'] = { shape: [1], dtype: 'float32', data: new Float32Array(1) };
  await writeSafetensors(join(wrong, 'io.safetensors'), recorded, { force: true });
});

it('one row per recorded output: shape, differences, pass', async () => {
  const { code, stdout } = await maetok('verify', `${GOLDEN}/dcae-in`, `${GOLDEN}/sdvae-quant`, '--quiet');
  expect(code).toBe(0);
  const rows = rowsOf(stdout);
  expect(Object.keys(rows[0])).toEqual(['case', 'tensor', 'shape', 'max_abs_diff', 'max_rel_diff', 'pass']);
  const latent = rows.find(row => row.case === 'convolutional/dcae-in' && row.tensor === 'output.latent')!;
  expect(latent).toMatchObject({ shape: '1x4x4x4', pass: 'true' });
  expect(Number(latent.max_rel_diff)).toBeLessThan(1e-5);
  expect(rows.every(({ pass }) => pass === 'true')).toBe(true);
});

it('a difference, or an output that nobody computes, fails: its row says so and the exit code is 1', async () => {
  const { code, stdout, stderr } = await maetok('verify', wrong, `${GOLDEN}/dcae-in`, '--quiet');
  expect(code).toBe(1);
  expect(stderr).toMatch(/1 of 2 cases differ: .*sdvae-wrong/);
  const failed = rowsOf(stdout).filter(({ pass }) => pass === 'false');
  expect(failed.map(({ tensor }) => tensor).sort()).toEqual(['output.mode', 'output.of_another_kind']);
  expect(Number(failed.find(({ tensor }) => tensor === 'output.mode')!.max_abs_diff)).toBeCloseTo(0.01, 4);
});

it('--tolerance decides', async () => {
  const { stdout } = await maetok('verify', wrong, '--tolerance', '0.5', '--quiet');
  expect(rowsOf(stdout).find(({ tensor }) => tensor === 'output.mode')).toMatchObject({ pass: 'true' });
});

it('a case of an unknown system, and a folder that is no case, are one line and exit 2', async () => {
  const unknown = join(folder, 'unknown');
  mkdirSync(unknown);
  writeFileSync(join(unknown, 'config.json'), '{"system": "Something else"}');
  const refused = await maetok('verify', unknown, '--quiet');
  expect(refused.code).toBe(2);
  expect(refused.stderr).toMatch(/names no system that maetok knows \("Something else"\); known are .*dc-ae/);
  const empty = await maetok('verify', folder, '--quiet');
  expect(empty).toMatchObject({ code: 2, stdout: '' });
  expect(empty.stderr).toContain('config.json: cannot be read');
});

it('weights that the case does not fit: the tensor and both shapes', async () => {
  const misfit = join(folder, 'misfit');
  cpSync(`${GOLDEN}/dcae-in`, misfit, { recursive: true });
  const path = join(misfit, 'config.json');
  writeFileSync(path, readFileSync(path, 'utf8').replace('"latent_channels": 4', '"latent_channels": 6'));
  const { code, stderr } = await maetok('verify', misfit, '--quiet');
  expect(code).toBe(2);
  expect(stderr).toMatch(/'encoder\.conv_out\.weight' is \[4, 16, 3, 3\] in the file, .* \[6, 16, 3, 3\]/);
});

it.each([
  ['a switch that is not published', { beta_in: 'sideways' }, /gft\/config\.json: parameters\.beta_in: /],
  ['a network without β', { use_beta_embed: false }, /parameters\.use_beta_embed: only networks that take β/],
  ['a field that is missing', { depth: undefined }, /parameters\.depth: /],
])('%s is refused by name', async (_what, change, message) => {
  const at = join(folder, 'gft');
  cpSync('fixtures/golden/diffusion/gft-beta-mlp', at, { recursive: true });
  const config = JSON.parse(readFileSync(join(at, 'config.json'), 'utf8')) as { parameters: object };
  writeFileSync(
    join(at, 'config.json'),
    JSON.stringify({ ...config, parameters: { ...config.parameters, ...change } }),
  );
  const { code, stderr } = await maetok('verify', at, '--quiet');
  expect([code, stderr]).toEqual([2, expect.stringMatching(message)]);
});

it('a case without a tensor that its system reads is refused in one line', async () => {
  const at = join(folder, 'incomplete');
  cpSync('fixtures/golden/diffusion/edm-heun', at, { recursive: true });
  const recorded = await readSafetensors(join(at, 'io.safetensors'));
  delete recorded['input.noise'];
  await writeSafetensors(join(at, 'io.safetensors'), recorded, { force: true });
  const { code, stderr } = await maetok('verify', at, '--quiet');
  expect([code, stderr]).toEqual([
    2,
    expect.stringMatching(/incomplete: is not a complete case of autoguidance: .* lack/),
  ]);
});
