import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { crc32c, TensorBoardWriter } from '../../src/training/tensorboard.js';
import { tempFolder } from '../helpers/temp.js';

const folder = tempFolder();

/** TFRecord's framing: length, its checksum, payload, its checksum. */
function payloads(file: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at < file.length;) {
    const length = Number(file.readBigUInt64LE(at));
    const payload = file.subarray(at + 12, at + 12 + length);
    expect(unmasked(file.readUInt32LE(at + 8))).toBe(crc32c(file.subarray(at, at + 8)));
    expect(unmasked(file.readUInt32LE(at + 12 + length))).toBe(crc32c(payload));
    found.push(payload);
    at += length + 16;
  }
  return found;
}

function unmasked(masked: number): number {
  const rotated = (masked - 0xa282ead8) >>> 0;
  return ((rotated >>> 17) | (rotated << 15)) >>> 0;
}

describe('TensorBoard events', () => {
  it('use CRC-32C (check value of its specification)', () => {
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
  });

  it('are a version, the session’s first step and scalars, each in a checked record', () => {
    new TensorBoardWriter(folder, 300).scalars(301, { loss: 0.5 });
    const [name] = readdirSync(folder);
    expect(name).toMatch(/^events\.out\.tfevents\.\d+\./);
    const [version, start, scalar] = payloads(readFileSync(join(folder, name)));
    expect(version.toString('latin1')).toContain('brain.Event:2');
    // After the time (nine bytes): step 300 as a varint, then field 7 (the session log) with status 1 (start).
    expect([...start.subarray(9)]).toEqual([0x10, 0xac, 0x02, 0x3a, 0x02, 0x08, 0x01]);
    // Step 301, then field 5 (the summary): one value with tag 'loss' and the float 0.5.
    expect([...scalar.subarray(9, 12)]).toEqual([0x10, 0xad, 0x02]);
    expect([...scalar.subarray(12)]).toEqual([
      0x2a,
      13,
      0x0a,
      11,
      0x0a,
      4,
      ...Buffer.from('loss'),
      0x15,
      0,
      0,
      0,
      0x3f,
    ]);
  });
});
