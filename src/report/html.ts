import type { Table, Value } from './table.js';

/** One part of a report: a heading, and below it whichever of the other fields are given. */
export interface Section {
  heading: string;
  /** Plain-text paragraphs. */
  text?: string[];
  /** SVG documents that we drew ourselves, embedded without escaping. */
  charts?: string[];
  images?: { caption: string; png: Uint8Array }[];
  table?: Table;
}

export interface ReportPage {
  title: string;
  /** What was measured, when, by which version: one line under the title. */
  subtitle: string;
  sections: Section[];
}

const STYLE = `
  body { font: 15px/1.5 system-ui, 'DejaVu Sans', sans-serif; color: #222; max-width: 1080px; margin: 2rem auto; padding: 0 1rem; }
  h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
  .subtitle { color: #666; margin-top: .2rem; }
  svg { max-width: 100%; height: auto; } figure { margin: 1rem 0; } figcaption { color: #555; font-size: .9rem; }
  img { image-rendering: pixelated; max-width: 100%; min-width: 320px; }
  .wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
  th, td { padding: .25rem .6rem; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap; }
  th:first-child, td:first-child { text-align: left; } th { border-bottom: 2px solid #888; }`;

/** One self-contained HTML page: no scripts, nothing fetched. */
export function htmlReport({ title, subtitle, sections }: ReportPage): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title>
<style>${STYLE}
</style>
<h1>${escape(title)}</h1>
<p class="subtitle">${escape(subtitle)}</p>
${sections.map(section).join('\n')}
</html>
`;
}

function section({ heading, text = [], charts = [], images = [], table }: Section): string {
  return [
    `<h2>${escape(heading)}</h2>`,
    ...text.map(paragraph => `<p>${escape(paragraph)}</p>`),
    ...charts.map(svg => `<figure>${svg}</figure>`),
    ...images.map(
      ({ caption, png }) =>
        `<figure><img alt="${escape(caption)}" src="data:image/png;base64,${Buffer.from(png).toString('base64')}"><figcaption>${escape(caption)}</figcaption></figure>`,
    ),
    ...(table ? [`<div class="wide">${htmlTable(table)}</div>`] : []),
  ].join('\n');
}

function htmlTable({ columns, rows }: Table): string {
  const head = columns.map(column => `<th>${escape(column.replaceAll('_', ' '))}</th>`).join('');
  const body = rows.map(row => `<tr>${columns.map(column => `<td>${escape(shown(row[column]))}</td>`).join('')}</tr>`);
  return `<table><thead><tr>${head}</tr></thead>\n<tbody>${body.join('\n')}</tbody></table>`;
}

/** The table in Markdown, for summaries and papers' drafts. */
export function markdownTable({ columns, rows }: Table): string {
  const line = (cells: string[]): string => `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [
    line(columns.map(column => column.replaceAll('_', ' '))),
    line(columns.map(() => '---')),
    ...rows.map(row => line(columns.map(column => shown(row[column])))),
  ].join('\n');
}

/** Four significant digits for readers; the CSV next to it has them all. */
function shown(value: Value | undefined): string {
  if (value === null || value === undefined) return '–';
  if (typeof value !== 'number' || Number.isInteger(value)) return String(value);
  const magnitude = Math.abs(value);
  return magnitude >= 1e6 || magnitude < 1e-3 ? value.toExponential(3) : String(Number(value.toPrecision(4)));
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
