import { describe, expect, it } from '@jest/globals';
import { Resvg } from '@resvg/resvg-js';
import { FONT, FONT_FILES, textWidth } from '../../src/report/font.js';

/** How wide the renderer's ink is. */
function inkWidth(text: string, size: number, bold: boolean): number {
  const style = `font-family="${FONT}" font-size="${size}" font-weight="${bold ? 'bold' : 'normal'}"`;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="2000" height="99"><text y="50" ${style}>${text}</text></svg>`;
  return new Resvg(svg, { font: { loadSystemFonts: false, fontFiles: FONT_FILES } }).getBBox()!.width;
}

describe('the width of text', () => {
  it.each([
    ['negative log-likelihood (nats per sample)', 12, false],
    ['WMWM 0123456789', 30, false],
    ['illii… τ ≤ 0.5 é', 14, false],
    ['A bold title', 14, true],
  ])('%s is what the renderer makes of it', (text, size, bold) => {
    // Advances hold the space beside the first and last letter too, and no kerning.
    expect(Math.abs(textWidth(text, size, bold) - inkWidth(text, size, bold))).toBeLessThan(0.25 * size);
  });
});
