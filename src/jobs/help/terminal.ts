import { definitions, padded, wrap } from '../../base/index.js';

/** How parts of the text are marked; each leaves its text as it is where the terminal has no colours. */
export interface Style {
  heading: (text: string) => string;
  code: (text: string) => string;
  strong: (text: string) => string;
}

export interface RenderOptions {
  width: number;
  style: Style;
}

/** Markdown as lines of a terminal: headings, paragraphs, lists, tables and code; pictures are left out. */
export function renderMarkdown(text: string, { width, style }: RenderOptions): string {
  const blocks = blocksOf(text.replace(/<!--.*?-->/gs, ''));
  return blocks
    .map(block => renderBlock(block, width, style))
    .filter(rendered => rendered !== '')
    .join('\n\n');
}

type Block = string[];

/** Lines that belong together: a fenced piece of code, or what stands between empty lines. */
function blocksOf(text: string): Block[] {
  const blocks: Block[] = [[]];
  let isCode = false;
  for (const line of text.split('\n')) {
    const isFence = line.trimStart().startsWith('```');
    if (!isCode && (isFence || line.trim() === '')) blocks.push([]);
    if (isCode || line.trim() !== '') blocks.at(-1)!.push(line);
    if (isFence) {
      isCode = !isCode;
      if (!isCode) blocks.push([]);
    }
  }
  return blocks.filter(block => block.length > 0);
}

function renderBlock(lines: Block, width: number, style: Style): string {
  const [first] = lines;
  if (first.trimStart().startsWith('```'))
    return lines
      .slice(1, -1)
      .map(line => `    ${style.code(line)}`)
      .join('\n');
  const [, heading = ''] = /^#+ (.*)$/.exec(first) ?? [];
  if (heading !== '') {
    const rest = lines.slice(1);
    return [style.heading(heading), ...(rest.length > 0 ? [renderBlock(rest, width, style)] : [])].join('\n');
  }
  if (first.startsWith('|')) return renderTable(lines, width, style);
  if (ITEM.test(first))
    return items(lines)
      .map(item => renderItem(item, width, style))
      .join('\n');
  return inline(wrap(spoken(lines.join(' ')), width).join('\n'), style);
}

const ITEM = /^(\s*)([-*]|\d+\.) +(.*)$/;

/** A line per item, those continued joined. */
function items(lines: Block): string[] {
  const found: string[] = [];
  for (const line of lines) {
    if (ITEM.test(line) || found.length === 0) found.push(line);
    else found[found.length - 1] += ` ${line.trim()}`;
  }
  return found;
}

function renderItem(item: string, width: number, style: Style): string {
  const [, indent, mark, text] = ITEM.exec(item)!;
  const start = `${indent}${mark} `;
  const lines = wrap(spoken(text), width - start.length);
  return inline(lines.map((line, i) => (i === 0 ? start : ' '.repeat(start.length)) + line).join('\n'), style);
}

const PLAIN: Style = { heading: text => text, code: text => text, strong: text => text };
const COLUMN_GAP = 2;

/** A table in columns, of which the widest gives way first; row by row where its longest words leave no room for that. */
function renderTable(lines: Block, width: number, style: Style): string {
  const [head, ...body] = lines.filter((_, i) => i !== 1).map(cells);
  const lengths = (lengthOf: (cell: string) => number): number[] =>
    head.map((_, column) => Math.max(...[head, ...body].map(row => lengthOf(row[column] ?? ''))));
  const least = lengths(cell => Math.max(...cell.split(' ').map(word => word.length)));
  const widths = lengths(cell => cell.length);
  const total = (): number => widths.reduce((sum, one) => sum + one + COLUMN_GAP, -COLUMN_GAP);
  while (total() > width) {
    const widest = widths.reduce((best, one, i) => (one > least[i] && (best < 0 || one > widths[best]) ? i : best), -1);
    if (widest < 0) return body.map(row => renderRecord(head, row, width, style)).join('\n\n');
    widths[widest]--;
  }
  const drawn = body.map(row => renderRow(row, widths));
  const isTall = drawn.some(row => row.includes('\n'));
  const rule = widths.map(one => '─'.repeat(one)).join(' '.repeat(COLUMN_GAP));
  return [style.strong(renderRow(head, widths)), rule, drawn.join(isTall ? '\n\n' : '\n')].join('\n');
}

function renderRow(row: string[], widths: number[]): string {
  const wrapped = widths.map((most, column) => wrap(row[column] ?? '', most));
  const line = (i: number): string =>
    wrapped
      .map((cell, column) => padded(cell[i] ?? '', widths[column]))
      .join(' '.repeat(COLUMN_GAP))
      .trimEnd();
  return Array.from({ length: Math.max(...wrapped.map(({ length }) => length)) }, (_, i) => line(i)).join('\n');
}

/** A row on its own: its first cell, and below it the others behind their headings. */
function renderRecord([, ...headings]: string[], [name, ...rest]: string[], width: number, style: Style): string {
  const facts = headings.map((heading, i): [string, string] => [heading, rest[i] ?? '']);
  return [style.strong(name), ...definitions(facts, { width })].join('\n');
}

/** The cells of a row, without marks inside, which would spoil the columns; `\|` is no border. */
const cells = (line: string): string[] =>
  line
    .trim()
    .replace(/^\||\|$/g, '')
    .split(/(?<!\\)\|/)
    .map(cell => inline(spoken(cell.replaceAll('\\|', '|').trim()), PLAIN));

/** Text without pictures, and links as their words; an address on the web stays. */
const spoken = (text: string): string =>
  text
    .replace(/!\[[^\]]*\]\([^)]*\)/g, '')
    .replace(/\[([^\]]+)\]\((https?:[^)]+)\)/g, '$1 ($2)')
    .replace(/\[([^\]]+)\]\([^)]+\)/g, '$1');

const inline = (text: string, { code, strong }: Style): string =>
  text
    .replace(/`([^`]+)`/g, (_, words: string) => code(words))
    .replace(/\*\*([^*]+)\*\*/g, (_, words: string) => strong(words));
