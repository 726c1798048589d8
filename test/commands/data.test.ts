import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import sharp from 'sharp';
import { tryLock } from '../../src/base/index.js';
import { readNpz } from '../../src/io/index.js';
import { maetok, maetokByRanks, maetokWith } from '../helpers/cli.js';
import { asRanks } from '../helpers/ranks.js';
import { rowsOf } from '../helpers/csv.js';
import { tempFolder } from '../helpers/temp.js';

const root = tempFolder();
const SPEC = 'synthetic:scenes?count=12&size=16&classes=3';

describe('maetok data', () => {
  test('without a data set it lists what can be read', async () => {
    const { code, stdout } = await maetok('data');
    expect(code).toBe(0);
    expect(rowsOf(stdout).map(row => row.data)).toContain('FILE.npy, FILE.npz');
  });

  test('describes a data set in one row', async () => {
    const { stdout } = await maetok('data', SPEC, '--split', 'val');
    expect(rowsOf(stdout)[0]).toMatchObject({
      name: 'scenes-val',
      images: '1',
      classes: '3',
      min_width: '16',
      max_height: '16',
    });
  });

  test('writes class folders with their origin and factors; they read back the same', async () => {
    const out = join(root, 'folder');
    const { code } = await maetok('data', SPEC, '--out', out, '--grid', join(root, 'grid.png'), '--num', '4');
    expect(code).toBe(0);
    expect(rowsOf(readFileSync(join(out, 'factors.csv'), 'utf8'))[4]).toMatchObject({
      shape: 'square',
      texture: 'stripes',
    });
    const { width } = await sharp(join(root, 'grid.png')).metadata();
    expect(width).toBe(2 * 16 + 2);
    const again = await maetok('data', out, '--out', join(root, 'again.npz'), '--quiet');
    expect(rowsOf(again.stdout)[0]).toMatchObject({ images: '12', classes: '3' });
  });

  test('--size crops on the way into one .npz', async () => {
    const out = join(root, 'small.npz');
    await maetok('data', SPEC, '--size', '8', '--out', out);
    const { images, labels } = await readNpz(out);
    expect(images).toMatchObject({ shape: [12, 8, 8, 3], dtype: 'uint8' });
    expect([...(labels.data as BigInt64Array)].slice(0, 4)).toEqual([0n, 1n, 2n, 0n]);
  });

  test('nothing there is replaced without --force, and a folder of someone else not even then', async () => {
    const file = join(root, 'there.npz');
    writeFileSync(file, 'mine');
    expect(await maetok('data', SPEC, '--out', file)).toMatchObject({ code: 1 });
    expect(readFileSync(file, 'utf8')).toBe('mine');
    const { code, stderr } = await maetok('data', SPEC, '--out', root, '--force');
    expect(code).toBe(1);
    expect(stderr).toMatch(/already exists; it was not written by maetok data/);
    expect(existsSync(file)).toBe(true);
  });

  test('a folder that another process writes is refused, and what a killed one had begun is cleared away', async () => {
    const out = join(root, 'shared');
    const write = () => maetok('data', SPEC, '--out', `${out}/`, '--quiet');
    const lock = await tryLock(`${out}.lock`);
    expect(await write()).toMatchObject({ code: 1, stderr: expect.stringMatching(/shared\/: in use by process \d+ /) });
    if ('release' in lock) lock.release();
    mkdirSync(join(`${out}.partial`, 'rest'), { recursive: true });
    expect(await write()).toMatchObject({ code: 0 });
    expect(readdirSync(root).filter(name => name.startsWith('shared'))).toEqual(['shared']);
    expect(readdirSync(out)).not.toContain('rest');
  });

  const withBrokenImage = async (name: string) => {
    const folder = join(root, name);
    await maetok('data', SPEC, '--out', folder);
    const broken = join(folder, 'disc-plain', '00.png');
    writeFileSync(broken, readFileSync(broken).subarray(0, 60));
    return { folder, broken };
  };

  test('--check says what is there twice, of which class, and --sheet shows what there is', async () => {
    const folder = join(root, 'twice');
    await maetok('data', SPEC, '--out', folder, '--quiet');
    const [a, b] = readdirSync(folder)
      .filter(name => !name.includes('.'))
      .sort();
    const [file] = readdirSync(join(folder, a)).sort();
    writeFileSync(join(folder, b, 'copy.png'), readFileSync(join(folder, a, file)));
    const sheet = join(root, 'sheet.png');
    const { code, stdout, stderr } = await maetok('data', folder, '--check', '--near', '0', '--sheet', sheet);
    expect(code).toBe(0);
    expect(rowsOf(stdout)).toEqual([
      expect.objectContaining({ image: join(folder, b, 'copy.png'), kind: 'duplicate', like: join(folder, a, file) }),
    ]);
    expect(stderr).toMatch(/sizes 16×16 \(13\); RGB \(13\)/);
    expect(stderr).toMatch(/duplicates: 1 exact, 1 of them with another label/);
    expect((await sharp(sheet).metadata()).format).toBe('png');
    expect(await maetok('data', folder, '--sheet', sheet)).toMatchObject({ code: 1 });
  });

  test('--check lists broken images and fails', async () => {
    const { folder, broken } = await withBrokenImage('checked');
    const checked = await maetok('data', folder, '--check');
    expect(checked.code).toBe(1);
    expect(rowsOf(checked.stdout).map(row => row.image)).toEqual([broken]);
    expect(checked.stderr).toMatch(/1 of 12 images cannot be read/);
  });

  test('--out leaves broken images out; --strict refuses them', async () => {
    const { folder } = await withBrokenImage('damaged');
    const out = join(root, 'whole.npz');
    const written = await maetok('data', folder, '--out', out);
    expect(written.stderr).toMatch(/00\.png: .*skipped\n.*11 images written/s);
    expect((await readNpz(out)).images.shape).toEqual([11, 16, 16, 3]);
    expect(await maetok('data', folder, '--out', join(root, 'strict.npz'), '--strict')).toMatchObject({ code: 2 });
    expect(existsSync(join(root, 'strict.npz'))).toBe(false);
  });

  test('images of different sizes need --size for one array', async () => {
    const [small, large] = [join(root, 'mix/a'), join(root, 'mix/b')];
    await maetok('data', 'synthetic:scenes?count=2&size=16', '--out', small);
    await maetok('data', 'synthetic:scenes?count=2&size=20', '--out', large);
    const { code, stderr } = await maetok('data', join(root, 'mix'), '--out', join(root, 'mix.npz'));
    expect(code).toBe(2);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toMatch(/images of different sizes .*16×16.*20×20.*give --size/);
  });

  describe('where not one image can be read', () => {
    const folder = join(root, 'all-broken');
    beforeAll(() => {
      for (const name of ['a/1.png', 'b/1.jpg']) {
        mkdirSync(dirname(join(folder, name)), { recursive: true });
        writeFileSync(join(folder, name), 'no image');
      }
    });

    test.each([
      ['the description', []],
      ['a folder', ['--out', join(root, 'none')]],
      ['an archive', ['--out', join(root, 'none.npz')]],
      ['a look', ['--grid', join(root, 'none.png')]],
      ['an evaluation', ['evaluate']],
      ['training', ['train']],
    ])('%s ends in one line and writes nothing', async (_, words) => {
      const commands: Record<string, string[]> = {
        evaluate: ['evaluate', folder, '--reference', folder, '--features', 'hog'],
        train: ['train', 'ae', '--data', folder, '--steps', '1', '--out', join(root, 'none')],
      };
      const { code, stderr } = await maetok(...(commands[words[0]] ?? ['data', folder, ...words]));
      expect(code).toBeGreaterThan(0);
      const lines = stderr.trim().split('\n');
      expect(lines.filter(line => line.startsWith('maetok: '))).toHaveLength(1);
      expect(lines.at(-1)).toMatch(/none of .*images can be read|0 readable images/);
      expect(stderr).not.toMatch(/defect/);
      for (const name of ['none', 'none.npz', 'none.png']) expect(existsSync(join(root, name))).toBe(false);
    });
  });

  describe('several ranks', () => {
    const filesOf = (at: string): Record<string, string> =>
      Object.fromEntries(
        readdirSync(at, { recursive: true, withFileTypes: true })
          .filter(entry => entry.isFile())
          .map(({ parentPath, name }) => join(parentPath, name))
          .map(path => [path.slice(at.length), readFileSync(path, 'base64')]),
      );
    let damaged = '';
    beforeAll(async () => {
      ({ folder: damaged } = await withBrokenImage('damaged-for-ranks'));
      const [a, b] = readdirSync(damaged).filter(name => !name.includes('.'));
      writeFileSync(join(damaged, b, 'copy.png'), readFileSync(join(damaged, a, readdirSync(join(damaged, a))[1])));
    });

    test.each([2, 3, 14])('%d of them write the folder of one, byte for byte', async size => {
      for (const [kind, spec] of Object.entries({ drawn: SPEC, damaged })) {
        const [one, all] = [`one-${kind}-${size}`, `by-${size}-${kind}`].map(name => join(root, name));
        const alone = await maetok('data', spec, '--size', '8', '--out', one);
        const [first, ...others] = await maetokByRanks(size, 'data', spec, '--size', '8', '--out', all);
        expect(first).toMatchObject({ code: 0, stdout: alone.stdout });
        expect(first.stderr).toContain(kind === 'drawn' ? '12 images written' : '12 images written, 1 unreadable');
        for (const other of others) expect(other).toEqual({ code: 0, stdout: '', stderr: '' });
        expect(filesOf(all)).toEqual(filesOf(one));
        expect(readdirSync(root).filter(name => name.startsWith(`by-${size}-${kind}`))).toHaveLength(1);
      }
    });

    test.each([2, 3, 14])('%d of them write the archive of one, byte for byte', async size => {
      const [one, all] = [`one-${size}.npz`, `by-${size}.npz`].map(name => join(root, name));
      await maetok('data', damaged, '--out', one);
      const [first] = await maetokByRanks(size, 'data', damaged, '--out', all);
      expect(first.code).toBe(0);
      expect(readFileSync(all).equals(readFileSync(one))).toBe(true);
      expect(readdirSync(root).filter(name => name.startsWith(`by-${size}.npz`))).toEqual([`by-${size}.npz`]);
    });

    test.each([2, 3, 14])(
      '%d of them find what one finds',
      async size => {
        const words = ['data', damaged, '--check', '--size', '20'];
        const alone = await maetok(...words);
        const [first, ...others] = await maetokByRanks(size, ...words);
        expect(first).toMatchObject({ code: 1, stdout: alone.stdout });
        expect(rowsOf(first.stdout).map(({ kind }) => kind)).toEqual(
          expect.arrayContaining(['unreadable', 'duplicate']),
        );
        expect(first.stderr.split('\n').slice(1)).toEqual(alone.stderr.split('\n'));
        for (const { code, stdout } of others) expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      },
      15_000,
    );

    test('are refused where they would all do the same', async () => {
      for (const words of [[], ['--grid', join(root, 'ranks.png')]]) {
        const [first] = await maetokByRanks(2, 'data', SPEC, ...words);
        expect(first).toMatchObject({ code: 2, stderr: expect.stringMatching(/does not divide its work/) });
      }
    }, 15_000);

    test('that see different images are refused, and nothing is written', async () => {
      const out = join(root, 'different');
      const specs = [SPEC, SPEC.replace('12', '13')];
      const [first] = await asRanks(2, communicator =>
        maetokWith({ communicator }, 'data', specs[communicator.rank], '--out', out),
      );
      expect(first.code).toBe(2);
      expect(first.stderr).toMatch(/the digest of scenes is not the same for all ranks: .* for rank 1/);
      expect(existsSync(out)).toBe(false);
    }, 15_000);
  });
});
