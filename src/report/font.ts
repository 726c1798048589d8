import { readFileSync } from 'node:fs';
import { inPackage } from '../base/index.js';

/** The package's own font, so that charts look the same everywhere and have their text on machines without fonts. */
export const FONT = 'DejaVu Sans';
const file = (name: string): string => inPackage(`fixtures/fonts/${name}`);
const PLAIN = file('DejaVuSans.ttf');
const BOLD = file('DejaVuSans-Bold.ttf');
export const FONT_FILES = [PLAIN, BOLD];

/** Width of a line of text in the package's font, in the units of `size`. */
export function textWidth(text: string, size: number, bold = false): number {
  const widths = bold ? (boldWidths ??= readWidths(BOLD)) : (plainWidths ??= readWidths(PLAIN));
  let sum = 0;
  for (const character of text) sum += widths(character.codePointAt(0)!);
  return size * sum;
}

type Widths = (codePoint: number) => number;
let plainWidths: Widths | undefined;
let boldWidths: Widths | undefined;

/** Advance widths of a TrueType font's characters, in ems: tables head, hhea, hmtx and cmap (format 4). */
function readWidths(path: string): Widths {
  const bytes = readFileSync(path);
  const font = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const table = (tag: string): number => {
    for (let at = 12; at < 12 + 16 * font.getUint16(4); at += 16)
      if (bytes.toString('latin1', at, at + 4) === tag) return font.getUint32(at + 8);
    throw new Error(`${path}: has no table ${tag}`);
  };
  const unitsPerEm = font.getUint16(table('head') + 18);
  const measured = font.getUint16(table('hhea') + 34);
  const metrics = table('hmtx');
  const glyphOf = characterMap(font, table('cmap'));
  // Glyphs after the last measured one have the same width as it.
  return codePoint => font.getUint16(metrics + 4 * Math.min(glyphOf(codePoint), measured - 1)) / unitsPerEm;
}

function characterMap(font: DataView, cmap: number): (codePoint: number) => number {
  const subtables = Array.from({ length: font.getUint16(cmap + 2) }, (_, i) => cmap + font.getUint32(cmap + 8 + 8 * i));
  const map = subtables.find(at => font.getUint16(at) === 4)!;
  const segments = font.getUint16(map + 6);
  const [ends, starts] = [map + 14, map + 16 + segments];
  const [deltas, offsets] = [starts + segments, starts + 2 * segments];
  return codePoint => {
    for (let at = 0; at < segments; at += 2) {
      if (font.getUint16(ends + at) < codePoint) continue;
      const start = font.getUint16(starts + at);
      if (start > codePoint) return 0;
      const delta = font.getUint16(deltas + at);
      const offset = font.getUint16(offsets + at);
      if (offset === 0) return (codePoint + delta) & 0xffff;
      const glyph = font.getUint16(offsets + at + offset + 2 * (codePoint - start));
      return glyph === 0 ? 0 : (glyph + delta) & 0xffff;
    }
    return 0;
  };
}
