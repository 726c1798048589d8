import { pipeline, Readable } from 'node:stream';
import * as zlib from 'node:zlib';
import { messageOf, UserError } from '../base/index.js';
import type { ByteSource } from './bytes.js';

/** What a deflated member must unpack to. */
export interface Unpacked {
  size: number;
  crc32: number;
}

/** Deflate cannot shrink further than this; a member that claims more is crafted to fill the memory. */
const LARGEST_RATIO = 1032;
/** Bytes that are packed or unpacked at a time: Node 20 inflates no more than 4 GiB into one buffer. */
const PIECE = 1 << 20;
/** Members up to this size stay in memory once they are unpacked. */
const KEPT_BYTES = 2 ** 30;

/**
 * Deflated bytes as a source, unpacked only as far as they are read. A member larger than `keptBytes` passes by as a
 * stream: reading on from where the last read ended costs nothing more, reading before it unpacks from the start again.
 * @throws UserError where a size or checksum, which are known once the end is reached, is not the promised one.
 */
export function inflatedBytes(
  name: string,
  packed: ByteSource,
  promised: Unpacked,
  keptBytes = KEPT_BYTES,
): ByteSource {
  if (promised.size > (packed.size + 64) * LARGEST_RATIO)
    throw new UserError(`${name}: claims ${promised.size} bytes from ${packed.size}, which deflate cannot produce`);
  const reader = promised.size <= keptBytes ? kept(name, packed, promised) : passing(name, packed, promised);
  // One after the other: they share the stream.
  let last: Promise<unknown> = Promise.resolve();
  return {
    name,
    size: promised.size,
    read(offset, length) {
      const reading = last.then(() => {
        if (offset < 0 || offset + length > promised.size)
          throw new UserError(`${name}: ends at ${promised.size}, before byte ${offset + length}; it is damaged`);
        return reader.read(offset, length);
      });
      last = reading.catch(() => undefined);
      return reading;
    },
    close: () => reader.close(),
  };
}

type Reader = Pick<ByteSource, 'read' | 'close'>;

function kept(name: string, packed: ByteSource, promised: Unpacked): Reader {
  const pieces = unpackedPieces(name, packed, promised);
  let memory: Uint8Array | undefined;
  let filled = 0;
  let ended = false;
  return {
    async read(offset, length) {
      memory ??= new Uint8Array(promised.size);
      // The last piece is followed by the checks.
      while (!ended && (filled < offset + length || filled === promised.size)) {
        const { value, done } = await pieces.next();
        ended = done === true;
        if (!value) break;
        memory.set(value, filled);
        filled += value.length;
      }
      if (filled < offset + length) throw damaged(name);
      return memory.slice(offset, offset + length);
    },
    close: async () => {
      await pieces.return(undefined);
    },
  };
}

function passing(name: string, packed: ByteSource, promised: Unpacked): Reader {
  let pieces = unpackedPieces(name, packed, promised);
  let piece = new Uint8Array(0);
  /** Where the piece at hand begins. */
  let at = 0;
  const advance = async (): Promise<boolean> => {
    const { value } = await pieces.next();
    if (!value) return false;
    at += piece.length;
    piece = value;
    return true;
  };
  return {
    async read(offset, length) {
      if (offset < at) {
        await pieces.return(undefined);
        pieces = unpackedPieces(name, packed, promised);
        [piece, at] = [new Uint8Array(0), 0];
      }
      const out = new Uint8Array(length);
      for (let done = 0; done < length;) {
        const from = offset + done - at;
        if (from >= piece.length) {
          if (!(await advance())) throw damaged(name);
          continue;
        }
        const part = piece.subarray(from, from + length - done);
        out.set(part, done);
        done += part.length;
      }
      if (offset + length === promised.size) await advance();
      return out;
    },
    close: async () => {
      await pieces.return(undefined);
    },
  };
}

const damaged = (name: string): UserError =>
  new UserError(`${name}: could not be unpacked before; the file is damaged, download or recreate it`);

async function* unpackedPieces(
  name: string,
  packed: ByteSource,
  { size, crc32 }: Unpacked,
): AsyncGenerator<Uint8Array<ArrayBuffer>, undefined> {
  const inflater = zlib.createInflateRaw({ chunkSize: PIECE });
  // A failure of the file reaches whoever reads from the inflater.
  pipeline(Readable.from(packedPieces(packed)), inflater, () => undefined);
  let seen = 0;
  let sum = 0;
  try {
    for await (const piece of inflater as AsyncIterable<Buffer<ArrayBuffer>>) {
      seen += piece.length;
      if (seen > size) break;
      sum = zlib.crc32(piece, sum);
      yield piece;
    }
  } catch (error) {
    throw error instanceof UserError ? error : new UserError(`${name}: cannot be unpacked: ${messageOf(error)}`);
  }
  if (seen !== size)
    throw new UserError(`${name}: unpacks to ${seen > size ? 'more than' : `${seen} bytes instead of`} ${size} bytes`);
  checkSum(name, sum, crc32);
  return undefined;
}

/** Refuses content whose checksum is not the promised one. */
export function checkSum(name: string, sum: number, promised: number): void {
  if (sum !== promised)
    throw new UserError(`${name}: its checksum does not match; the file is damaged, download or recreate it`);
}

async function* packedPieces(packed: ByteSource): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < packed.size; at += PIECE) yield await packed.read(at, Math.min(PIECE, packed.size - at));
}
