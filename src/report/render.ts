import { fileURLToPath } from 'node:url';
import { Resvg } from '@resvg/resvg-js';
import * as vega from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';

/** The package's own font, so that a chart looks alike, and its text is there at all, on a machine without fonts. */
export const FONT = 'DejaVu Sans';
const FONT_FILES = ['DejaVuSans.ttf', 'DejaVuSans-Bold.ttf'].map(file =>
  fileURLToPath(new URL(`../../fixtures/fonts/${file}`, import.meta.url)),
);

const silent = vega.logger(vega.None);

/** A chart as an SVG document. */
export async function renderSvg(spec: TopLevelSpec): Promise<string> {
  const runtime = vega.parse(compile(spec, { logger: silent }).spec);
  const view = new vega.View(runtime, { renderer: 'none', logger: silent });
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}

/** An SVG document as PNG bytes, `scale` pixels per SVG unit, on white. */
export function rasterise(svg: string, scale = 2): Uint8Array {
  const image = new Resvg(svg, {
    font: { loadSystemFonts: false, fontFiles: FONT_FILES, defaultFontFamily: FONT, sansSerifFamily: FONT },
    fitTo: { mode: 'zoom', value: scale },
    background: 'white',
  });
  return image.render().asPng();
}
