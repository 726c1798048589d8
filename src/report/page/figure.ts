import { chartOf } from '../chart.js';
import { choose } from '../choice.js';
import { describeChart } from '../describe.js';
import { rasterise, renderSvg } from '../render.js';
import { interactiveOf } from './interactive.js';
import { dataUrl, escape, prose, scriptJson } from './markup.js';
import type { PageChart } from './page.js';
import { provenance } from './provenance.js';

/** Characters of a static SVG beyond which its picture in pixels is smaller: thousands of points. */
const LARGE = 200_000;

/** A chart drawn already, which the page's script replaces by an interactive one. */
export async function htmlChart(chart: PageChart): Promise<string> {
  const alt = escape(describeChart(chart.table, chart.choice));
  const svg = await renderSvg(chartOf(chart.table, chart.choice));
  const still = svg.length > LARGE ? `<img alt="" src="${dataUrl(rasterise(svg))}">` : svg;
  return `<figure class="chart${hasPanels(chart) ? ' wide' : ''}" data-chart="${escape(chart.name)}">
<div class="controls"></div>
<div class="plot" role="img" aria-label="${alt}">${still}</div>
<figcaption>${prose(chart.caption)}</figcaption>
<div class="actions"></div>
${provenance(chart)}
<script type="application/json">${scriptJson(interactiveOf(chart))}</script>
</figure>`;
}

/** Whether there are several panels, which need the page's width. */
function hasPanels({ table, choice }: PageChart): boolean {
  const { facet, rows } = choose(table, choice);
  return facet !== undefined || rows !== undefined;
}
