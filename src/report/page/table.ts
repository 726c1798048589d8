import { shown } from '../number.js';
import type { Value } from '../table.js';
import type { Cell, Mark, Measured } from './cell.js';
import { escape } from './markup.js';
import type { PageColumn, PageTable } from './page.js';
import { provenance } from './provenance.js';

const MARKS: Record<Mark, { sign: string; says: string }> = {
  best: { sign: '★', says: 'best' },
  tied: { sign: '≈', says: 'not distinguishable from the best' },
};

const BETTER = { lower: { sign: '↓', says: 'lower is better' }, higher: { sign: '↑', says: 'higher is better' } };

/** A table that the page's script makes sortable and copies; without scripts it is a table still. */
export function htmlTable({ name, caption, columns, rows, notes = [], ...origin }: PageTable): string {
  const marks = (Object.keys(MARKS) as Mark[]).filter(mark =>
    rows.some(row => columns.some(({ key }) => isMeasured(row[key]) && row[key].mark === mark)),
  );
  const legend = marks.map(mark => `${MARKS[mark].sign} ${MARKS[mark].says}`).join('; ');
  const body = rows.map(row => `<tr>${columns.map((column, i) => cell(row[column.key], i)).join('')}</tr>`);
  return `<div class="table" data-table="${escape(name)}">
<div class="scroll" tabindex="0" role="region" aria-label="${escape(caption)}">
<table><caption>${escape(caption)}</caption>
<thead><tr>${columns.map(head).join('')}</tr></thead>
<tbody>${body.join('\n')}</tbody></table></div>
${[...(legend === '' ? [] : [legend]), ...notes].map(note => `<p class="note">${escape(note)}</p>`).join('\n')}
${provenance(origin)}</div>`;
}

function head({ key, title, note, better }: PageColumn): string {
  const arrow = better === undefined ? '' : ` ${sign(BETTER[better])}`;
  const small = note === undefined ? '' : `<small>${escape(note)}</small>`;
  const first = better === undefined ? '' : ` data-better="${better}"`;
  return `<th scope="col" data-key="${escape(key)}"${first}><span class="title">${escape(title)}${arrow}</span>${small}</th>`;
}

function cell(content: Cell, column: number): string {
  const { value, low, high, mark } = isMeasured(content) ? content : { value: content ?? null };
  const data = Object.entries({ value, low, high })
    .filter(([, number]) => number !== null && number !== undefined)
    .map(([name, number]) => ` data-${name}="${escape(String(number))}"`)
    .join('');
  const [text, ends] = formatted(value, low, high);
  const inside = [
    `<span class="value">${escape(text)}</span>`,
    ...(ends === undefined ? [] : [`<span class="interval">${escape(ends)}</span>`]),
    ...(mark === undefined ? [] : [sign(MARKS[mark])]),
  ].join(' ');
  // The first column says what the row is about.
  const [tag, scope] = column === 0 ? ['th', ' scope="row"'] : ['td', ''];
  const kind = typeof value === 'string' ? ' class="text"' : mark === undefined ? '' : ` class="${mark}"`;
  return `<${tag}${scope}${kind}${data}>${inside}</${tag}>`;
}

/** A sign with words for those who do not see it. */
const sign = ({ sign, says }: { sign: string; says: string }): string =>
  `<span class="sign" title="${says}"><span aria-hidden="true">${sign}</span><span class="unseen">${says}</span></span>`;

const isMeasured = (content: Cell): content is Measured => typeof content === 'object' && content !== null;

/** A value and its interval with as many decimals as the interval's width lets one know. */
function formatted(value: Value, low?: number | null, high?: number | null): [string, string | undefined] {
  if (typeof value !== 'number' || typeof low !== 'number' || typeof high !== 'number')
    return [shown(value), undefined];
  const width = high - low;
  const decimals = Math.max(0, Math.ceil(-Math.log10(width)) + 1);
  const rounded = (number: number): string =>
    width > 0 && decimals <= 8 && Math.abs(number) < 1e6 ? number.toFixed(decimals) : shown(number);
  return [rounded(value), `[${rounded(low)}, ${rounded(high)}]`];
}
