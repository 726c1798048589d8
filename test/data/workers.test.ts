import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { transformSync } from '@swc/core';
import { centreCrop, openImages } from '../../src/data/index.js';
import { encodePng } from '../../src/io/index.js';

// Workers run built JavaScript only, so the rooms that they need are built here, beside node_modules for sharp to be found.
mkdirSync('node_modules/.cache', { recursive: true });
const build = mkdtempSync('node_modules/.cache/maetok-workers-');
const image = join(build, 'image.png');

beforeAll(async () => {
  for (const room of ['base', 'distributed', 'distributed/mpi', 'distributed/tcp', 'io', 'data', 'data/sources']) {
    mkdirSync(join(build, 'src', room), { recursive: true });
    for (const name of readdirSync(`src/${room}`).filter(file => file.endsWith('.ts'))) {
      const { code } = transformSync(readFileSync(`src/${room}/${name}`, 'utf8'), {
        jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
        module: { type: 'es6' },
      });
      writeFileSync(join(build, 'src', room, name.replace('.ts', '.js')), code);
    }
  }
  writeFileSync(join(build, 'package.json'), '{"type": "module", "version": "0.0.0"}');
  writeFileSync(image, await encodePng(await (await openImages('synthetic:scenes')).read(5, 90)));
});
afterAll(() => rmSync(build, { recursive: true, force: true }));

async function run(script: string): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { cwd: build });
  return stdout.trim();
}

describe('worker threads', () => {
  test('give the same squares as this thread, and let the process end', async () => {
    const stdout = await run(`
      import { PreparePool } from './src/data/prepare.js';
      const pool = new PreparePool(new URL('./src/data/worker.js', 'file://' + process.cwd() + '/'), 2);
      const job = { stored: { path: 'image.png' }, options: { size: 32, crop: 'center', flip: false }, draws: new Float32Array(4) };
      const squares = await Promise.all(Array.from({ length: 5 }, () => pool.run(job)));
      console.log(squares.map(square => Buffer.from(square).toString('base64')).join(' '));
    `);
    const dataset = await openImages('synthetic:scenes');
    const expected = Buffer.from(centreCrop(await dataset.read(5, 90), 32).data).toString('base64');
    expect(stdout.split(' ')).toEqual(Array<string>(5).fill(expected));
  });

  test('a broken image fails its own job only', async () => {
    writeFileSync(join(build, 'broken.png'), 'no image');
    const stdout = await run(`
      import { prepare } from './src/data/prepare.js';
      const job = path => prepare({ stored: { path }, options: { size: 8, crop: 'center', flip: false }, draws: new Float32Array(4) });
      const results = await Promise.allSettled([job('image.png'), job('broken.png'), job('image.png')]);
      console.log(results.map(({ status, reason }) => reason ? reason.name + ': ' + reason.message : status).join('|'));
    `);
    expect(stdout).toMatch(/^fulfilled\|UserError: broken\.png: cannot be read as an image.*\|fulfilled$/);
  });
});
