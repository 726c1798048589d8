import { existsSync } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import { silentLog } from '../../src/base/index.js';
import { convertLatents } from '../../src/jobs/convert.js';
import { encodeNpy } from '../helpers/npy.js';
import { readNpz, readSafetensors, writeNpy, writeNpz, writeSafetensors, type NdArray } from '../../src/io/index.js';
import { openLatents, type Latents, type LatentsOptions } from '../../src/latents/index.js';
import { describeWithShared, SHARED } from '../helpers/shared.js';
import { tempFolder } from '../helpers/temp.js';
import { writeZip } from '../helpers/zip.js';

const folder = tempFolder();
const at = (...names: string[]): string => join(folder, ...names);
const GOLDEN = 'fixtures/golden/latents/lightningdit';

/** `count` numbers that all differ. */
const numbers = (count: number, first = 0): Float32Array => Float32Array.from({ length: count }, (_, i) => first + i);
const f32 = (shape: number[], data: Float32Array): NdArray => ({ shape, dtype: 'float32', data });
const labels64 = (...values: number[]): NdArray => ({
  shape: [values.length],
  dtype: 'int64',
  data: BigInt64Array.from(values, BigInt),
});

async function all(latents: Latents): Promise<number[]> {
  const rows: number[] = [];
  for await (const { data } of latents.rows().chunks({ chunkRows: 2 })) rows.push(...data);
  return rows;
}

async function withLatents<T>(path: string, use: (latents: Latents) => Promise<T> | T, options?: LatentsOptions) {
  const latents = await openLatents(path, options);
  try {
    return await use(latents);
  } finally {
    await latents.close();
  }
}

/** The numbers of the rows of which all are finite. */
const finiteRows = (data: ArrayLike<number | bigint>, width: number): number[] =>
  Array.from({ length: data.length / width }, (_, row) =>
    Array.from({ length: width }, (_, i) => Number(data[row * width + i])),
  )
    .filter(row => row.every(Number.isFinite))
    .flat();

/** [C, H, W] of one image → [H·W, C]. */
function asTokens(row: ArrayLike<number>, channels: number, tokens: number): number[] {
  return Array.from({ length: channels * tokens }, (_, i) => row[(i % channels) * tokens + Math.floor(i / channels)]);
}

describe('LightningDiT’s shards, recorded from its own programs', () => {
  test('are read in the order of their names, flips left out', async () => {
    await withLatents(GOLDEN, async latents => {
      expect(latents).toMatchObject({ count: 8, tokens: 16, channels: 4, grid: [4, 4], hasFlips: true });
      const expected = await readSafetensors(`${GOLDEN}/../lightningdit-expected.safetensors`);
      expect(latents.labels).toEqual(expected['output.labels'].data);
      const { mean, std } = await latents.statistics();
      const normalised = (await all(latents)).map((value, i) => (value - mean[i % 4]) / std[i % 4]);
      const plain = expected['output.plain_normalised'].data as Float32Array;
      expect(normalised).toBeAllClose(
        Array.from({ length: 8 }, (_, n) => asTokens(plain.subarray(n * 64, n * 64 + 64), 4, 16)).flat(),
        { rtol: 1e-6 },
      );
    });
  });

  test('their statistics are what one pass over the images finds', async () => {
    await mkdir(at('no-stats'));
    for (const name of ['latents_rank00_shard000.safetensors', 'latents_rank00_shard001.safetensors'])
      await copyFile(`${GOLDEN}/${name}`, at('no-stats', name));
    const stated = await withLatents(GOLDEN, latents => latents.statistics());
    const found = await withLatents(at('no-stats'), latents => latents.statistics());
    expect(found.mean).toBeAllClose(stated.mean, { rtol: 1e-6 });
    expect(found.std).toBeAllClose(stated.std, { rtol: 1e-6 });
  });

  test('flips come behind the images when asked for', async () => {
    await withLatents(
      GOLDEN,
      async latents => {
        expect(latents.count).toBe(16);
        expect([...latents.labels!.subarray(8)]).toEqual([...latents.labels!.subarray(0, 8)]);
        const { latents_flip: flip } = await readSafetensors(`${GOLDEN}/latents_rank00_shard001.safetensors`);
        const last = asTokens((flip.data as Float32Array).subarray(128, 192), 4, 16);
        expect([...(await latents.read([15]))]).toEqual(last);
        expect((await all(latents)).slice(15 * 64)).toEqual(last);
      },
      { flips: true },
    );
  });

  test('a shard that is cut short or missing is named', async () => {
    await mkdir(at('cut'));
    const shard = await readFile(`${GOLDEN}/latents_rank00_shard000.safetensors`);
    await writeFile(at('cut', 'latents_rank00_shard000.safetensors'), shard.subarray(0, 2000));
    await expect(openLatents(at('cut'))).rejects.toThrow(
      /cut\/latents_rank00_shard000\.safetensors: tensor .*truncated/,
    );
  });
});

describe('rows by number', () => {
  test('come in the order asked for, repeated ones too, across shards', async () => {
    await withLatents(GOLDEN, async latents => {
      const every = await all(latents);
      const wanted = [7, 0, 5, 4, 4, 1];
      expect([...(await latents.read(wanted))]).toEqual(wanted.flatMap(n => every.slice(n * 64, n * 64 + 64)));
      await expect(latents.read([8])).rejects.toThrow(/row 8 of 8/);
    });
  });
});

describe('one file', () => {
  test('.npy: [N, tokens, C], [N, C, H, W] and [N, D]', async () => {
    await writeNpy(at('tokens.npy'), f32([2, 3, 2], numbers(12)));
    await writeNpy(at('grid.npy'), f32([2, 2, 1, 3], numbers(12)));
    await writeNpy(at('grid22.npy'), f32([1, 2, 2, 2], numbers(8)));
    await writeNpy(at('flat.npy'), f32([2, 6], numbers(12)));
    await withLatents(at('tokens.npy'), async latents => {
      expect(latents).toMatchObject({ count: 2, tokens: 3, channels: 2 });
      expect(latents.grid).toBeUndefined();
      expect(await all(latents)).toEqual([...numbers(12)]);
    });
    await withLatents(at('grid.npy'), async latents => {
      expect(latents.grid).toBeUndefined();
      expect(await all(latents)).toEqual([0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]);
    });
    await withLatents(at('grid22.npy'), async latents => {
      expect(latents.grid).toEqual([2, 2]);
      expect(await all(latents)).toEqual([0, 4, 1, 5, 2, 6, 3, 7]);
    });
    await withLatents(at('flat.npy'), latents => expect(latents).toMatchObject({ tokens: 1, channels: 6 }));
  });

  test('.npz: latents with labels, or the array that is named', async () => {
    const more = f32([2, 3], numbers(6, 100));
    await writeNpz(at('a.npz'), { latents: f32([2, 2], numbers(4)), labels: labels64(3, 1), more });
    await withLatents(at('a.npz'), async latents => {
      expect(await all(latents)).toEqual([0, 1, 2, 3]);
      expect(latents.labels).toEqual(Int32Array.of(3, 1));
    });
    await withLatents(`${at('a.npz')}#more`, async latents => expect(await all(latents)).toEqual([...numbers(6, 100)]));
    await expect(openLatents(`${at('a.npz')}#none`)).rejects.toThrow(/no array none; the file has latents, more/);
  });

  test('safetensors with several splits asks which, and finds the labels of the named one', async () => {
    await writeSafetensors(at('splits.safetensors'), {
      'train.latents': f32([2, 2], numbers(4)),
      'train.labels': { shape: [2], dtype: 'uint8', data: Uint8Array.of(1, 0) },
      'val.latents': f32([1, 2], numbers(2, 50)),
    });
    const path = at('splits.safetensors');
    await expect(openLatents(path)).rejects.toThrow(
      /has train\.latents, val\.latents; say which, e\.g\. .*#train\.latents/,
    );
    for (const name of ['train', 'train.latents'])
      await withLatents(`${path}#${name}`, latents => expect(latents.labels).toEqual(Int32Array.of(1, 0)));
    await withLatents(`${path}#val`, async latents => {
      expect(latents.labels).toBeUndefined();
      expect(await all(latents)).toEqual([50, 51]);
    });
    const digests = await Promise.all(['train', 'val'].map(n => withLatents(`${path}#${n}`, l => l.digest())));
    expect(digests[0]).not.toBe(digests[1]);
  });
});

describe('one file per image', () => {
  test('MAETok’s npz: the class is the folder, zq_flip the mirrored copy', async () => {
    for (const [i, name] of ['n02/a', 'n01/b', 'n02/c'].entries()) {
      await mkdir(at('maetok', name.slice(0, 3)), { recursive: true });
      const zq = f32([2, 2], numbers(4, 10 * i));
      await writeNpz(at('maetok', `${name}.npz`), { zq, zq_flip: f32([2, 2], numbers(4, 10 * i + 100)) });
    }
    await withLatents(at('maetok'), async latents => {
      expect(latents).toMatchObject({ count: 3, tokens: 2, channels: 2, hasFlips: true, classes: ['n01', 'n02'] });
      expect(latents.labels).toEqual(Int32Array.of(0, 1, 1));
      expect(await all(latents)).toEqual([...numbers(4, 10), ...numbers(4), ...numbers(4, 20)]);
    });
    await withLatents(
      at('maetok'),
      async latents => expect([...(await latents.read([3]))]).toEqual([...numbers(4, 110)]),
      {
        flips: true,
      },
    );
  });

  test('all in one folder: the class is in `path`', async () => {
    await mkdir(at('flat'));
    for (const name of ['dog', 'cat'])
      await writeZip(at('flat', `${name}.npz`), {
        'zq.npy': encodeNpy(f32([1, 2], numbers(2))),
        'path.npy': unicodeNpy(`/data/${name}/1.jpg`),
      });
    await withLatents(at('flat'), latents => {
      expect(latents.classes).toEqual(['cat', 'dog']);
      expect(latents.labels).toEqual(Int32Array.of(0, 1));
    });
  });

  test('REPA’s moments: the mean, or a sample by seed, with dataset.json’s classes', async () => {
    await mkdir(at('repa', '00000'), { recursive: true });
    const files = ['00000/img-mean-std-00000000.npy', '00000/img-mean-std-00000001.npy'];
    for (const [i, file] of files.entries()) await writeNpy(at('repa', file), f32([4, 1, 2], numbers(8, i)));
    await writeFile(at('repa', 'dataset.json'), JSON.stringify({ labels: files.map((file, i) => [file, 5 - i]) }));
    await withLatents(at('repa'), async latents => {
      expect(latents).toMatchObject({ count: 2, tokens: 2, channels: 2 });
      expect(latents.labels).toEqual(Int32Array.of(5, 4));
      expect(await all(latents)).toEqual([0, 2, 1, 3, 1, 3, 2, 4]);
    });
    const draw = (seed: number) => withLatents(at('repa'), all, { posterior: 'sample', seed });
    expect(await draw(1)).toEqual(await draw(1));
    expect(await draw(1)).not.toEqual(await draw(2));
  });

  test('EDM2’s zip; dataset.json that names the images is paired by order', async () => {
    const member = (i: number) => encodeNpy(f32([1, 1, 2], numbers(2, 10 * i)));
    const labels = [
      ['00000/img00000001.png', 8],
      ['00000/img00000000.png', 9],
    ];
    const path = await writeZip(at('edm2.zip'), {
      '00000/latent-1.npy': member(1),
      '00000/latent-0.npy': member(0),
      'dataset.json': JSON.stringify({ labels }),
    });
    await withLatents(path, async latents => {
      expect(await all(latents)).toEqual([0, 1, 10, 11]);
      expect(latents.labels).toEqual(Int32Array.of(9, 8));
    });
  });

  test('images of two shapes are refused by name', async () => {
    const path = await writeZip(at('mixed.zip'), {
      'a.npy': encodeNpy(f32([1, 2], numbers(2))),
      'b.npy': encodeNpy(f32([1, 3], numbers(3))),
    });
    await withLatents(path, async latents =>
      expect(all(latents)).rejects.toThrow(/mixed\.zip:b\.npy: has shape \[1, 3\], the first image's is \[1, 2\]/),
    );
  });
});

/** A scalar of fixed-width text as NumPy writes it. */
function unicodeNpy(text: string): Buffer {
  const header = `{'descr': '<U${text.length}', 'fortran_order': False, 'shape': (), }`.padEnd(117) + '\n';
  const before = Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, header.length, 0]);
  return Buffer.concat([
    before,
    Buffer.from(header),
    Buffer.from(Uint32Array.from(text, c => c.codePointAt(0)!).buffer),
  ]);
}

describe('values that are NaN or infinite', () => {
  const path = at('bad.npy');
  const write = async () => {
    const data = numbers(12);
    data[5] = NaN;
    data[10] = -Infinity;
    await writeNpy(path, f32([6, 2], data), { force: true });
  };

  test('are counted and located when met', async () => {
    await write();
    const message = /bad\.npy: 2 of 6 rows hold NaN or infinite numbers, the first is row 2; .*--drop-nonfinite/;
    await withLatents(path, async latents => {
      await expect(all(latents)).rejects.toThrow(message);
      await expect(latents.read([2])).rejects.toThrow(message);
      await expect(latents.statistics()).rejects.toThrow(message);
      expect([...(await latents.read([0, 1]))]).toEqual([0, 1, 2, 3]);
    });
  });

  test('are left out on demand, and so are their labels', async () => {
    await write();
    await writeNpz(at('bad.npz'), {
      latents: f32([3, 1], Float32Array.of(1, NaN, 3)),
      labels: labels64(0, 1, 2),
    });
    await withLatents(path, async latents => expect(await all(latents)).toEqual([0, 1, 2, 3, 6, 7, 8, 9]), {
      dropNonfinite: true,
    });
    await withLatents(
      at('bad.npz'),
      async latents => {
        expect(latents.labels).toEqual(Int32Array.of(0, 2));
        expect([...(await latents.read([1]))]).toEqual([3]);
        expect((await latents.statistics()).mean).toEqual(Float64Array.of(2));
      },
      { dropNonfinite: true },
    );
  });
});

describe('labels', () => {
  const write = async (name: string, ...labels: number[]) => {
    await writeNpz(at(name), { latents: f32([2, 1], numbers(2)), labels: labels64(...labels) });
    return at(name);
  };

  test('beyond the classes or too few are refused with the row', async () => {
    await expect(openLatents(await write('high.npz', 0, 10), { classCount: 10 })).rejects.toThrow(
      /high\.npz: row 1 has label 10; labels are 0 to 9/,
    );
    await expect(openLatents(await write('few.npz', 1))).rejects.toThrow(/1 labels for 2 rows/);
  });

  test('below zero are classes under their own names', async () => {
    await withLatents(await write('low.npz', 4, -1), ({ labels, classes }) =>
      expect([labels, classes]).toEqual([Int32Array.of(1, 0), ['-1', '4']]),
    );
  });
});

describe('arrays that NumPy wrote, as fixtures/golden/io/numpy/record.py recorded them', () => {
  const NUMPY = 'fixtures/golden/io/numpy';

  test.each(['beside.npz', 'unnamed.npz'])('%s: other contents of a latents file are never opened', async name => {
    await withLatents(`${NUMPY}/${name}`, async latents => {
      expect(await all(latents)).toEqual([...numbers(10)]);
      expect(latents.labels).toEqual(Int32Array.of(3, 1, 7, 1, 3));
    });
  });

  test('bfloat16, whose name NumPy loses, is read where the type is given', async () => {
    const expected = (await readNpz(`${NUMPY}/values.npz`)).bfloat16.data;
    const options = { nameless: 'bfloat16', dropNonfinite: true } as const;
    for (const name of ['bfloat16.npy', 'bfloat16.npz'])
      await withLatents(
        `${NUMPY}/${name}`,
        async latents => expect(await all(latents)).toEqual(finiteRows(expected, 2)),
        options,
      );
    await expect(openLatents(`${NUMPY}/bfloat16.npz`)).rejects.toThrow(/--dtype bfloat16/);
  });

  test('the format of a file is detected from its first bytes', async () => {
    await copyFile(`${NUMPY}/beside.npz`, at('misnamed.npy'));
    await withLatents(at('misnamed.npy'), latents => expect(latents.count).toBe(5));
    await writeNpy(at('plain.npz'), f32([2, 1], numbers(2)), { force: true });
    await withLatents(at('plain.npz'), latents => expect(latents.count).toBe(2));
    await writeFile(at('packed.npy'), gzipSync('x'));
    await expect(openLatents(at('packed.npy'))).rejects.toThrow(/packed\.npy: is not a \.npy file \(it is gzipped/);
  });

  test('text labels keep their names through a latents folder', async () => {
    const context = { log: silentLog, signal: new AbortController().signal };
    await convertLatents(`${NUMPY}/text.npz`, at('text'), {}, context);
    await withLatents(at('text'), ({ labels, classes }) =>
      expect([labels, classes]).toEqual([Int32Array.of(1, 0, 0, 1, 2), ['ape', 'dog', 'eel']]),
    );
  });
});

describe('what is no latents', () => {
  test('is refused in one line', async () => {
    await expect(openLatents(at('absent'))).rejects.toThrow(/absent: no such latents/);
    await mkdir(at('empty'), { recursive: true });
    await expect(openLatents(at('empty'))).rejects.toThrow(/empty: holds no latents/);
    await writeNpy(at('one-axis.npy'), f32([3], numbers(3)));
    await expect(openLatents(at('one-axis.npy'))).rejects.toThrow(/one-axis\.npy: .*latents are \[N, C, H, W\]/);
    await rm(at('one-axis.npy'));
    await writeZip(at('images.zip'), { 'a.png': 'x' });
    await expect(openLatents(at('images.zip'))).rejects.toThrow(/holds no \.npy members, but a\.png/);
  });
});

describeWithShared('data/features', 'latents of real images', () => {
  test('a split of CIFAR-10 with its labels', async () => {
    const path = `${SHARED}/data/features/cifar10-6k-taef2-latents.safetensors#val`;
    await withLatents(path, async latents => {
      expect(latents).toMatchObject({ count: 1000, tokens: 16, channels: 32, grid: [4, 4] });
      expect(new Set(latents.labels).size).toBe(10);
      const { std } = await latents.statistics();
      expect(Math.min(...std)).toBeGreaterThan(0.1);
    });
  });
});

(existsSync('/proc/self/fd') ? describe : describe.skip)('files', () => {
  const openFiles = async (path: string): Promise<number> => {
    const links = (await readdir('/proc/self/fd')).map(fd => readlink(`/proc/self/fd/${fd}`).catch(() => ''));
    return (await Promise.all(links)).filter(target => target === path).length;
  };

  test.each([false, true])('are open only while rows are read, rows dropped or not (%s)', async dropNonfinite => {
    const path = at(`streamed-${dropNonfinite}.npy`);
    await writeNpy(path, f32([4, 6], numbers(24)));
    await withLatents(
      path,
      async latents => {
        await all(latents);
        expect(await openFiles(path)).toBe(0);
        await latents.read([1]);
        expect(await openFiles(path)).toBe(1);
      },
      { dropNonfinite },
    );
    expect(await openFiles(path)).toBe(0);
  });
});
