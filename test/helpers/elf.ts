import { readFileSync } from 'node:fs';

const DYNSYM = 11;
const SECTION_HEADER = 64;
const SYMBOL = 24;

/** The symbols that a 64-bit ELF library expects of the process that loads it, as `nm -D --undefined-only` lists them. */
export function undefinedSymbols(path: string): string[] {
  const file = readFileSync(path);
  if (file.readUInt32BE(0) !== 0x7f454c46 || file[4] !== 2) throw new Error(`${path}: not a 64-bit ELF file`);
  const sections = Array.from({ length: file.readUInt16LE(60) }, (_, i) => {
    const at = Number(file.readBigUInt64LE(40)) + i * SECTION_HEADER;
    const [offset, bytes] = [24, 32].map(field => Number(file.readBigUInt64LE(at + field)));
    return {
      type: file.readUInt32LE(at + 4),
      link: file.readUInt32LE(at + 40),
      data: file.subarray(offset, offset + bytes),
    };
  });
  const symbols = sections.find(({ type }) => type === DYNSYM)!;
  const names = sections[symbols.link].data;
  return Array.from({ length: symbols.data.length / SYMBOL }, (_, i) => symbols.data.subarray(i * SYMBOL))
    .filter(symbol => symbol.readUInt16LE(6) === 0)
    .map(symbol => names.toString('latin1', symbol.readUInt32LE(0), names.indexOf(0, symbol.readUInt32LE(0))))
    .filter(name => name !== '');
}
