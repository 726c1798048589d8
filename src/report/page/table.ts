import { shown } from '../number.js';
import type { Value } from '../table.js';
import type { Cell, Mark, Measured } from './cell.js';
import { escape, prose } from './markup.js';
import type { PageColumn, PageTable } from './page.js';
import { provenance } from './provenance.js';

const MARKS: Record<Mark, { sign: string; says: string }> = {
  best: { sign: '★', says: 'best' },
  tied: { sign: '≈', says: 'not distinguishable from the best' },
};

const BETTER = { lower: { sign: '↓', says: 'lower is better' }, higher: { sign: '↑', says: 'higher is better' } };

/** A table that the page's script makes sortable and copies; without scripts it is a table still. */
export function htmlTable({
  name,
  caption,
  columns,
  rows,
  rounded = 'by column',
  notes = [],
  ...origin
}: PageTable): string {
  const marks = (Object.keys(MARKS) as Mark[]).filter(mark =>
    rows.some(row => columns.some(({ key }) => isMeasured(row[key]) && row[key].mark === mark)),
  );
  const legend = marks.map(mark => `${MARKS[mark].sign} ${MARKS[mark].says}`).join('; ');
  const ofColumns = columns.map(({ key }) => decimalsOf(rows.map(row => row[key])));
  const body = rows.map(row => {
    const ofRow = rounded === 'by row' ? decimalsOf(columns.map(({ key }) => row[key])) : undefined;
    const decimals = rounded === 'by row' ? columns.map(() => ofRow) : ofColumns;
    return `<tr>${columns.map((column, i) => cell(row[column.key], decimals[i], i)).join('')}</tr>`;
  });
  return `<div class="table" data-table="${escape(name)}">
<div class="scroll" tabindex="0" role="region" aria-label="${escape(caption)}">
<table><caption>${escape(caption)}</caption>
<thead><tr>${columns.map(head).join('')}</tr></thead>
<tbody>${body.join('\n')}</tbody></table></div>
${[...(legend === '' ? [] : [legend]), ...notes].map(note => `<p class="note">${prose(note)}</p>`).join('\n')}
${provenance(origin)}</div>`;
}

function head({ key, title, note, better }: PageColumn): string {
  const arrow = better === undefined ? '' : `&nbsp;${sign(BETTER[better])}`;
  const small = note === undefined ? '' : `<small>${escape(note)}</small>`;
  const first = better === undefined ? '' : ` data-better="${better}"`;
  return `<th scope="col" data-key="${escape(key)}"${first}><span class="title">${escape(title)}${arrow}</span>${small}</th>`;
}

function cell(content: Cell, decimals: number | undefined, column: number): string {
  const { value, low, high, mark, atLeast }: Shown = isMeasured(content) ? content : { value: content ?? null };
  const data = Object.entries({ value, low, high })
    .filter(([, number]) => number !== null && number !== undefined)
    .map(([name, number]) => ` data-${name}="${escape(String(number))}"`)
    .join('');
  const [text, ends] = formatted({ value, low, high }, decimals);
  const inside = [
    `<span class="value">${escape(atLeast ? `≥ ${text}` : text)}</span>`,
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

/** A cell's content with all that may be known of it. */
type Shown = Omit<Partial<Measured>, 'value'> & { value: Value };

const isMeasured = (content: Cell): content is Measured => typeof content === 'object' && content !== null;

/**
 * Decimals that the intervals of a column let one know: two digits of the narrowest; undefined where there is none or
 * so many would be needed that numbers are better written one by one.
 */
function decimalsOf(cells: Cell[]): number | undefined {
  const intervals = cells
    .filter(isMeasured)
    .flatMap(({ low, high }) => (isNumber(low) && isNumber(high) ? [[low, high]] : []));
  const widths = intervals.map(([low, high]) => high - low).filter(width => width > 0);
  if (widths.length === 0 || intervals.flat().some(end => Math.abs(end) >= 1e6)) return undefined;
  // Numbers of things stay whole.
  if (cells.filter(isMeasured).every(({ value, low, high }) => [value, low, high].every(isWhole))) return 0;
  const decimals = Math.max(0, Math.ceil(-Math.log10(Math.min(...widths))) + 1);
  return decimals > 8 ? undefined : decimals;
}

const isNumber = (value: unknown): value is number => typeof value === 'number';
const isWhole = (value: unknown): boolean => !isNumber(value) || Number.isInteger(value);

/** The value, and the interval where there is one. */
function formatted(
  { value, low, high }: { value: Value; low?: Measured['low']; high?: Measured['high'] },
  decimals: number | undefined,
): [string, string?] {
  const rounded = (number: number): string => (decimals === undefined ? shown(number) : number.toFixed(decimals));
  const text = isNumber(value) ? rounded(value) : shown(value);
  return isNumber(low) && isNumber(high) ? [text, `[${rounded(low)}, ${rounded(high)}]`] : [text];
}
