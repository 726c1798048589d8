import { readFileSync } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import yazl from 'yazl';
import { UserError } from '../../src/base/index.js';
import { memoryBytes, openNpy, openNpz, openZip } from '../../src/io/index.js';
import { openPt } from '../../src/io/pt.js';
import { safetensorsFrom } from '../../src/io/safetensors.js';
import type { ByteSource } from '../../src/io/bytes.js';
import { selectFromTree } from '../../src/io/weights-container.js';
import { encodeNpy } from '../helpers/npy.js';

/*
 * Damaged and crafted files: whatever the bytes, a reader gives numbers or one line that names the file. It never
 * fails in another way, never hangs, never asks for bytes outside the file, and never reads much more than it holds.
 */

const RUNS = Number(process.env.MAETOK_FUZZ_RUNS ?? 250);
const GOLDEN = 'fixtures/golden/io';

/** Reads everything there is. */
type Reader = (source: ByteSource) => Promise<unknown>;

const READERS: Record<string, Reader> = {
  safetensors: async source => {
    const file = await safetensorsFrom(source);
    for (const name of file.tensors.keys()) await file.read(name);
  },
  npy: async source => await (await openNpy(source)).read(),
  npz: async source => {
    const file = await openNpz(source);
    for (const name of file.names) {
      await file.read(name);
      const array = await file.open(name);
      if (array.shape.length > 0) await array.readRows(0, Math.min(1, array.shape[0]));
    }
  },
  zip: async source => {
    const zip = await openZip(source);
    for (const name of zip.members.keys()) await zip.read(name);
  },
  pt: async source => {
    const weights = selectFromTree(await openPt(source));
    for (const name of weights.tensors.keys()) await weights.read(name);
  },
};

/** A pickle of any bytes in a checkpoint whose checksums are right, so that it is the pickle's reader that meets them. */
async function pickled(source: ByteSource): Promise<void> {
  const original = await openZip(memoryBytes('checkpoint', readFileSync(`${GOLDEN}/checkpoint.pt`)));
  const zip = new yazl.ZipFile();
  for (const name of original.members.keys()) {
    const content = name === PICKLE ? await source.read(0, source.size) : await original.read(name);
    zip.addBuffer(Buffer.from(content), name, { compress: false });
  }
  zip.end();
  await READERS.pt(memoryBytes(source.name, await buffer(zip.outputStream)));
}

const PICKLE = 'checkpoint/data.pkl';

async function pickleOf(): Promise<Buffer> {
  const zip = await openZip(memoryBytes('checkpoint', readFileSync(`${GOLDEN}/checkpoint.pt`)));
  return Buffer.from(await zip.read(PICKLE));
}

const npy = encodeNpy({ shape: [3, 2], dtype: 'float32', data: Float32Array.of(1, 2, 3, 4, 5, 6) });

const FILES: [name: string, reader: Reader, content: () => Promise<Buffer> | Buffer][] = [
  ['safetensors', READERS.safetensors, () => readFileSync(`${GOLDEN}/expected.safetensors`)],
  ['.npy', READERS.npy, () => npy],
  ['stored .npz', READERS.npz, () => readFileSync(`${GOLDEN}/savez.npz`)],
  ['deflated .npz', READERS.npz, () => readFileSync(`${GOLDEN}/savez_compressed.npz`)],
  ['zip64', READERS.zip, zip64],
  ['PyTorch zip', READERS.pt, () => readFileSync(`${GOLDEN}/checkpoint.pt`)],
  ['a checkpoint’s pickle', pickled, pickleOf],
  ['older PyTorch', READERS.pt, () => readFileSync(`${GOLDEN}/legacy.pt`)],
];

async function zip64(): Promise<Buffer> {
  const zip = new yazl.ZipFile();
  zip.addBuffer(npy, 'a.npy', { forceZip64Format: true });
  zip.addBuffer(npy, 'b/c.npy', { compress: false });
  zip.end({ forceZip64Format: true, comment: 'x' });
  return await buffer(zip.outputStream);
}

/** Bytes over bytes, numbers of any width over numbers, pieces cut out, doubled or swapped in from elsewhere. */
const change = fc.oneof(
  fc.record({ kind: fc.constant('byte' as const), at: fc.double({ min: 0, max: 1, noNaN: true }), value: fc.nat(255) }),
  fc.record({
    kind: fc.constant('number' as const),
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    value: fc.oneof(
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      fc.constantFrom(0n, 1n, 2n ** 31n, 2n ** 53n, 2n ** 63n),
    ),
    width: fc.constantFrom(2, 4, 8),
  }),
  fc.record({
    kind: fc.constant('piece' as const),
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    length: fc.nat(40),
    content: fc.uint8Array({ maxLength: 40 }),
  }),
  fc.record({ kind: fc.constant('cut' as const), at: fc.double({ min: 0, max: 1, noNaN: true }) }),
);

type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

function apply(content: Buffer, edit: Change): Buffer {
  const at = Math.floor(edit.at * content.length);
  const out = Buffer.from(content);
  switch (edit.kind) {
    case 'byte':
      if (at < out.length) out[at] = edit.value;
      return out;
    case 'number': {
      const number = Buffer.alloc(8);
      number.writeBigUInt64LE(edit.value);
      number.copy(out, at, 0, edit.width);
      return out;
    }
    case 'piece':
      return Buffer.concat([out.subarray(0, at), edit.content, out.subarray(at + edit.length)]);
    case 'cut':
      return out.subarray(0, at);
  }
}

/** Watches what is asked of a source. */
function watched(content: Buffer): { source: ByteSource; outside: () => number; bytes: () => number } {
  const memory = memoryBytes('fuzzed', content);
  let outside = 0;
  let bytes = 0;
  const read: ByteSource['read'] = async (offset, length) => {
    try {
      const part = await memory.read(offset, length);
      bytes += part.length;
      if (offset + part.length > content.length) outside++;
      return part;
    } catch (error) {
      // Refused by the source itself, in one line.
      expect(error).toBeInstanceOf(UserError);
      throw error;
    }
  };
  return { source: { ...memory, read }, outside: () => outside, bytes: () => bytes };
}

describe('whatever the bytes, a reader gives numbers or one line', () => {
  test.each(FILES)('%s', async (name, reader, make) => {
    const content = await make();
    await reader(memoryBytes(name, content));
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async edits => {
        const fuzzed = edits.reduce(apply, content);
        const { source, outside, bytes } = watched(fuzzed);
        const failure = await reader(source).then(
          () => undefined,
          (error: unknown) => error,
        );
        if (failure !== undefined) {
          expect(failure).toBeInstanceOf(UserError);
          expect((failure as UserError).message).toMatch(/^fuzzed/);
          expect((failure as UserError).message).not.toContain('\n');
        }
        expect(outside()).toBe(0);
        expect(bytes()).toBeLessThan(64 * (fuzzed.length + 1024));
      }),
      { numRuns: RUNS },
    );
  });

  test('bytes that were never a file', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...Object.keys(READERS)),
        fc.uint8Array({ maxLength: 300 }),
        async (kind, bytes) => {
          const failure = await READERS[kind](memoryBytes('fuzzed', bytes)).then(
            () => undefined,
            (error: unknown) => error,
          );
          expect(failure).toBeInstanceOf(UserError);
        },
      ),
      { numRuns: RUNS },
    );
  });
});
