import { appendFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';

/*
 * TensorBoard's event file: records of a length and a payload, each with a masked CRC-32C, whose payloads are `Event`
 * messages (tensorflow/core/util/event.proto). Only scalars are written.
 */

/** Appends scalars to a new event file in `folder`. */
export class TensorBoardWriter {
  private readonly path: string;

  /** `step`: updates done so far; whatever former files hold beyond it, TensorBoard then ignores. */
  constructor(folder: string, step: number) {
    const seconds = Date.now() / 1000;
    this.path = join(folder, `events.out.tfevents.${Math.floor(seconds)}.${hostname()}.${process.pid}`);
    writeFileSync(this.path, record(event(seconds, 0, field(3, Buffer.from('brain.Event:2')))));
    appendFileSync(this.path, record(event(seconds, step, field(7, number(1, START)))));
  }

  scalars(step: number, values: Record<string, number>): void {
    const entries = Object.entries(values).map(([tag, value]) =>
      field(1, Buffer.concat([field(1, Buffer.from(tag)), float(2, value)])),
    );
    if (entries.length > 0)
      appendFileSync(this.path, record(event(Date.now() / 1000, step, field(5, Buffer.concat(entries)))));
  }
}

/** SessionLog.START. */
const START = 1;

const event = (seconds: number, step: number, what: Buffer): Buffer =>
  Buffer.concat([double(1, seconds), number(2, step), what]);

/* Protocol Buffers' wire format: each value is preceded by its field number and kind. */

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Buffer.from([...bytes, value]);
}

const tag = (id: number, kind: 0 | 1 | 2 | 5): Buffer => varint(id * 8 + kind);
const number = (id: number, value: number): Buffer => Buffer.concat([tag(id, 0), varint(value)]);
const field = (id: number, content: Buffer): Buffer => Buffer.concat([tag(id, 2), varint(content.length), content]);

function double(id: number, value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return Buffer.concat([tag(id, 1), bytes]);
}

function float(id: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return Buffer.concat([tag(id, 5), bytes]);
}

function record(payload: Buffer): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(payload.length));
  return Buffer.concat([length, maskedCrc(length), payload, maskedCrc(payload)]);
}

function maskedCrc(bytes: Buffer): Buffer {
  const crc = crc32c(bytes);
  const out = Buffer.alloc(4);
  out.writeUInt32LE((((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0);
  return out;
}

/** Remainders of the Castagnoli polynomial, reflected. */
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit++) remainder = remainder & 1 ? (remainder >>> 1) ^ 0x82f63b78 : remainder >>> 1;
  return remainder >>> 0;
});

export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
