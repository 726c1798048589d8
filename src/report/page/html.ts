import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { besideSources } from '../../base/index.js';
import { htmlChart } from './figure.js';
import { escape, paragraphs, prose } from './markup.js';
import type { PageChart, PageSection, ReportPage } from './page.js';
import { htmlPictures } from './pictures.js';
import { themeStyle } from './style.js';
import { htmlTable } from './table.js';

/** Scripts of the page, in the order in which they run. */
const CLIENT = ['common.js', 'tables.js', 'pictures.js', 'charts.js'];
const LIBRARIES = [
  ['vega', 'vega.min.js'],
  ['vega-lite', 'vega-lite.min.js'],
  ['vega-embed', 'vega-embed.min.js'],
];

/**
 * One self-contained page: nothing is fetched, and only the page's own scripts run. It is complete without them; with
 * them, tables can be sorted and copied, and charts answer the pointer and the keyboard.
 */
export async function htmlReport(page: ReportPage): Promise<string> {
  const sections = await Promise.all(page.sections.map((one, i) => section(one, i, page)));
  const charts = page.lead !== undefined || page.sections.some(one => (one.charts ?? []).length > 0);
  const scripts = [...(charts ? LIBRARIES.map(library) : []), ...CLIENT.map(own)];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy(scripts)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">${page.reload === undefined ? '' : `\n<meta http-equiv="refresh" content="${page.reload}">`}
<title>${escape(page.title)}</title>
<style>${themeStyle()}
${text('style.css')}</style>
</head>
<body>
<main>
${await firstScreen(page)}
${contents(page)}
${sections.join('\n')}
</main>
<p id="said" class="unseen" role="status"></p>
${scripts.map(script => `<script>${script}</script>`).join('\n')}
</body>
</html>
`;
}

/** Only scripts with these contents run, without `eval`; no address is reachable but images within the page. */
function policy(scripts: string[]): string {
  const hashes = scripts.map(script => `'sha256-${createHash('sha256').update(script).digest('base64')}'`);
  return `default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; script-src ${hashes.join(' ')}`;
}

async function firstScreen({
  title,
  subtitle,
  question,
  answer,
  lead,
  wouldChange,
  sources,
}: ReportPage): Promise<string> {
  return `<header${lead ? ' class="split"' : ''}>
<div>
<h1>${escape(title)}</h1>
<p class="subtitle">${escape(subtitle)}</p>
<p class="question">${escape(question)}</p>
<div class="answer">${paragraphs(answer)}</div>
${
  wouldChange.length === 0
    ? ''
    : `<h2 class="minor">What would change this answer</h2>
<ul>${wouldChange.map(line => `<li>${prose(line)}</li>`).join('')}</ul>`
}
</div>
${lead ? await htmlChart(coloured(lead, sources)) : ''}
</header>`;
}

const contents = ({ sections }: ReportPage): string =>
  sections.length < 2
    ? ''
    : `<nav aria-label="Sections"><ul>${sections
        .map(({ heading }, i) => `<li><a href="#section-${i}">${escape(heading)}</a></li>`)
        .join('')}</ul></nav>`;

async function section(
  { heading, text = [], tables = [], charts = [], pictures = [] }: PageSection,
  index: number,
  { sources }: ReportPage,
): Promise<string> {
  const drawn = await Promise.all(charts.map(chart => htmlChart(coloured(chart, sources))));
  return `<section aria-labelledby="section-${index}">
<h2 id="section-${index}">${escape(heading)}</h2>
${[paragraphs(text), ...tables.map(htmlTable), `<div class="charts">${drawn.join('\n')}</div>`, ...pictures.map(htmlPictures)].join('\n')}
</section>`;
}

/** A latent space has the same colour in every chart. */
const coloured = (chart: PageChart, sources: string[]): PageChart => ({
  ...chart,
  choice: { sources, ...chart.choice },
});

const text = (name: string): string => readFileSync(besideSources(`report/page/${name}`), 'utf8');

const own = (name: string): string => text(`client/${name}`);

/** A library's build for browsers, which is beside the module that Node loads. */
function library([name, file]: string[]): string {
  const module = createRequire(import.meta.url).resolve(name);
  // A link to a source map would be fetched.
  const script = readFileSync(join(dirname(module), file), 'utf8').replace(/\n\/\/# sourceMappingURL=.*/, '');
  return script.replaceAll('</script', '<\\/script');
}
