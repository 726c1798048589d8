import { deflateRawSync, crc32 } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import { memoryBytes } from '../../src/io/index.js';
import { inflatedBytes } from '../../src/io/inflate.js';

/** 5 MB that hardly repeat, so that they come in several pieces, packed and unpacked. */
const content = Uint8Array.from({ length: 5_000_000 }, (_, i) => (i * i * 2_654_435_761) >>> 13);
const packed = deflateRawSync(content, { level: 1 });
const promised = { size: content.length, crc32: crc32(content) };
const source = (keptBytes: number, bytes: Uint8Array = packed, wanted = promised) =>
  inflatedBytes('x.npz:latents.npy', memoryBytes('x.npz', bytes), wanted, keptBytes);

describe.each([
  ['kept in memory', Infinity],
  ['passing by as a stream', 0],
])('a deflated member %s', (_, keptBytes) => {
  test('gives any stretch, forwards and backwards, and several at once', async () => {
    const member = source(keptBytes);
    const stretches = [
      [0, 10],
      [8, 2],
      [1_048_570, 20],
      [4_999_990, 10],
      [3, 2_500_000],
      [4_000_000, 0],
    ];
    const read = await Promise.all(stretches.map(([offset, length]) => member.read(offset, length)));
    read.forEach((bytes, i) => {
      const [offset, length] = stretches[i];
      expect(Buffer.compare(bytes, content.subarray(offset, offset + length))).toBe(0);
    });
    await member.close();
  });

  test('is refused once its end is another than promised', async () => {
    const { size } = promised;
    const read = async (bytes: Uint8Array, wanted = promised) => {
      const member = source(keptBytes, bytes, wanted);
      await member.read(0, wanted.size);
    };
    await expect(read(packed, { size, crc32: 1 })).rejects.toThrow(/checksum does not match/);
    await expect(read(packed, { ...promised, size: size + 5 })).rejects.toThrow(/unpacks to 5000000 bytes instead of/);
    await expect(read(packed, { ...promised, size: size - 5 })).rejects.toThrow(/unpacks to more than 4999995 bytes/);
    await expect(read(packed.subarray(0, 100_000))).rejects.toThrow(/cannot be unpacked: unexpected end of file/);
    await expect(source(keptBytes).read(size - 1, 2)).rejects.toThrow(/ends at 5000000/);
  });
});

test('a size that no deflated bytes give is refused before anything is unpacked', () => {
  expect(() => source(0, packed, { ...promised, size: 1e12 })).toThrow(/which deflate cannot produce/);
});
