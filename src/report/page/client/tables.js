/* Sorting and copying of tables. */
for (const box of document.querySelectorAll('.table')) {
  const { button, copy } = page;
  const table = box.querySelector('table');
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const title = head.querySelector('.title');
    const control = button('', () => sort(table, column));
    title.replaceWith(control);
    control.append(title);
    head.ariaSort = 'none';
  });
  const actions = page.element('div', { className: 'actions' });
  for (const [name, write] of Object.entries({ CSV: asCsv, LaTeX: asLatex, Markdown: asMarkdown }))
    actions.append(button(`Copy ${name}`, () => copy(write(table), name)));
  box.querySelector('.scroll').after(actions);
}

/** Sorts by a column: the better values first where one knows which are, then the other way round. */
function sort(table, column) {
  const heads = [...table.tHead.rows[0].cells];
  const head = heads[column];
  const first = head.dataset.better === 'higher' ? 'descending' : 'ascending';
  const other = first === 'ascending' ? 'descending' : 'ascending';
  const order = head.ariaSort === first ? other : first;
  for (const each of heads) each.ariaSort = each === head ? order : 'none';
  const rows = [...table.tBodies[0].rows];
  const sign = order === 'ascending' ? 1 : -1;
  rows.sort((a, b) => compare(a.cells[column].dataset.value, b.cells[column].dataset.value, sign));
  table.tBodies[0].append(...rows);
  page.announce(`sorted by ${head.querySelector('.title').textContent}, ${order}`);
}

/** What was not measured comes last in either order. */
function compare(a, b, sign) {
  if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
  const difference = Number(a) - Number(b);
  return sign * (Number.isNaN(difference) ? a.localeCompare(b, undefined, { numeric: true }) : difference);
}

/** Exact values, each with the ends of its interval in columns of their own. */
function asCsv(table) {
  const rows = [...table.tBodies[0].rows];
  const columns = [...table.tHead.rows[0].cells].flatMap(({ dataset: { key } }, column) => {
    const part = name => rows.map(row => row.cells[column].dataset[name]);
    const ends = ['low', 'high'].filter(name => part(name).some(value => value !== undefined));
    return [{ key, values: part('value') }, ...ends.map(name => ({ key: `${key}_${name}`, values: part(name) }))];
  });
  return page.csv([columns.map(({ key }) => key), ...rows.map((_, i) => columns.map(({ values }) => values[i]))]);
}

/** Titles and cells as they are shown: { text, interval, mark }. */
function shownCells(table) {
  const of = (cell, name) => cell.querySelector(name)?.textContent ?? '';
  return {
    titles: [...table.tHead.rows[0].cells].map(head => head.querySelector('.title').firstChild.textContent.trim()),
    rows: [...table.tBodies[0].rows].map(row =>
      [...row.cells].map(cell => ({
        text: of(cell, '.value'),
        interval: of(cell, '.interval'),
        mark: ['best', 'tied'].find(mark => cell.classList.contains(mark)),
      })),
    ),
  };
}

function asMarkdown(table) {
  const { titles, rows } = shownCells(table);
  const line = cells => `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |\n`;
  const cell = ({ text, interval, mark }) =>
    [mark === 'best' ? `**${text}**` : text, interval, mark === 'tied' ? '≈' : ''].filter(Boolean).join(' ');
  return [
    line(titles),
    line(titles.map((_, i) => (i === 0 ? '---' : '---:'))),
    ...rows.map(row => line(row.map(cell))),
  ].join('');
}

/** For the package booktabs. */
function asLatex(table) {
  const { titles, rows } = shownCells(table);
  const line = cells => `    ${cells.join(' & ')} \\\\\n`;
  const cell = ({ text, interval, mark }) =>
    [
      mark === 'best' ? `\\textbf{${latex(text)}}` : latex(text),
      interval && `{\\small ${latex(interval)}}`,
      mark === 'tied' && '$\\approx$',
    ]
      .filter(Boolean)
      .join(' ');
  const body = rows.map(row => line(row.map(cell))).join('');
  return [
    `\\begin{tabular}{l${'r'.repeat(titles.length - 1)}}\n    \\toprule\n`,
    `${line(titles.map(latex))}    \\midrule\n${body}    \\bottomrule\n\\end{tabular}\n`,
  ].join('');
}

const LATEX = { '\\': '\\textbackslash{}', '~': '\\textasciitilde{}', '^': '\\textasciicircum{}', '–': '--' };

function latex(text) {
  return text.replace(/[\\~^–]|[&%$#_{}]/g, character => LATEX[character] ?? `\\${character}`);
}
