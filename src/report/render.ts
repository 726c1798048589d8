import { Resvg } from '@resvg/resvg-js';
import * as vega from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import { FONT, FONT_FILES, textWidth } from './font.js';

/** Vega's text measurement, which its types leave out. */
interface TextMetrics {
  width(item: { fontSize?: number; fontWeight?: number | string; limit?: number }, text?: string | number): number;
}

// Without a canvas Vega assumes that every character is 0.8 em wide: a chart would be laid out for text half as long again as
// it is, with blank margins and cut-off labels.
(vega as unknown as { textMetrics: TextMetrics }).textMetrics.width = (item, text) => {
  const { fontSize = 11, fontWeight, limit = 0 } = item;
  const width = textWidth(String(text ?? '').trim(), fontSize, fontWeight === 'bold' || Number(fontWeight) >= 600);
  return limit > 0 ? Math.min(width, limit) : width;
};

const silent = vega.logger(vega.None);

/** A chart as an SVG document. */
export async function renderSvg(spec: TopLevelSpec): Promise<string> {
  const runtime = vega.parse(compile(spec, { logger: silent }).spec);
  const view = new vega.View(runtime, { renderer: 'none', logger: silent });
  try {
    return rounded(await view.toSVG());
  } finally {
    view.finalize();
  }
}

/** Coordinates to a hundredth of a unit, which no eye can see: a chart of thousands of points is half as large. */
const rounded = (svg: string): string =>
  svg.replace(/ (?:transform|d)="[^"]*"/g, attribute =>
    attribute.replace(/-?\d+\.\d{3,}(?!\d|e)/g, number => String(Number(Number(number).toFixed(2)))),
  );

/** An SVG document as PNG bytes, `scale` pixels per SVG unit, on white. */
export function rasterise(svg: string, scale = 2): Uint8Array {
  const image = new Resvg(svg, {
    font: { loadSystemFonts: false, fontFiles: FONT_FILES, defaultFontFamily: FONT, sansSerifFamily: FONT },
    fitTo: { mode: 'zoom', value: scale },
    background: 'white',
  });
  return image.render().asPng();
}
