/* Still charts become interactive ones once they come near the screen. */
for (const figure of document.querySelectorAll('.chart')) {
  const { announce, button, csv, element, save } = page;
  const chart = JSON.parse(figure.querySelector('script').textContent);
  const plot = figure.querySelector('.plot');
  const name = figure.dataset.chart;
  const records = chart.rows.map(row => Object.fromEntries(chart.fields.map((field, i) => [field, row[i]])));
  const hidden = new Set();
  const logarithmic = new Set();
  let view;
  let width = 0;

  figure.querySelector('.controls').append(...legend(), ...switches());
  figure.querySelector('.actions').after(rowsBehind());
  new IntersectionObserver(
    (entries, observer) => {
      if (!entries.some(entry => entry.isIntersecting)) return;
      observer.disconnect();
      new ResizeObserver(() => {
        if (plot.clientWidth > 0 && Math.abs(plot.clientWidth - width) > 4) draw();
      }).observe(plot);
    },
    { rootMargin: '400px' },
  ).observe(plot);

  async function draw() {
    width = plot.clientWidth;
    const spec = fitted(scaled(structuredClone(chart.spec), logarithmic), width);
    spec.datasets = { rows: structuredClone(records) };
    // Expressions are interpreted, so that the page needs no permission to make code of text.
    const options = { mode: 'vega-lite', renderer: 'svg', ast: true, actions: false, tooltip };
    const drawn = element('div');
    const result = await vegaEmbed(drawn, spec, options);
    view?.finalize();
    view = result.view;
    plot.replaceChildren(drawn);
    view.signal('hidden', [...hidden]);
    await view.runAsync();
    if (plot.dataset.ready === undefined) offerFiles();
    plot.dataset.ready = '';
  }

  /** A button per series, which takes it out of the chart and back. */
  function legend() {
    if (!chart.legend) return [];
    return chart.legend.entries.map(({ value, color, shape, dash }) => {
      const toggle = button('', () => {
        if (!hidden.delete(value)) hidden.add(value);
        const isShown = !hidden.has(value);
        toggle.ariaPressed = String(isShown);
        announce(`${value} ${isShown ? 'shown' : 'hidden'}`);
        view?.signal('hidden', [...hidden]).runAsync();
      });
      toggle.className = 'series';
      toggle.ariaPressed = 'true';
      toggle.append(symbol(color, shape, dash), String(value));
      return toggle;
    });
  }

  function symbol(color, shape, dash) {
    const box = element('span');
    const paths = {
      circle: 'M5,1a4,4 0 1,0 0.01,0z',
      square: 'M1.5,1.5h7v7h-7z',
      diamond: 'M5,0l3.6,5l-3.6,5l-3.6,-5z',
      'triangle-up': 'M5,1l4,8h-8z',
      'triangle-down': 'M5,9l4,-8h-8z',
      cross: 'M3.5,1h3v2.5h2.5v3h-2.5v2.5h-3v-2.5h-2.5v-3h2.5z',
      'triangle-right': 'M9,5l-8,4v-8z',
      'triangle-left': 'M1,5l8,4v-8z',
    };
    const mark =
      dash === undefined
        ? `<svg viewBox="0 0 10 10" aria-hidden="true"><path d="${paths[shape] ?? paths.square}" fill="${color}"/></svg>`
        : `<svg class="dash" viewBox="0 0 30 10" aria-hidden="true"><path d="M0,5h30" stroke="${color}" stroke-width="2" stroke-dasharray="${dash}"/></svg>`;
    box.innerHTML = mark;
    return box.firstChild;
  }

  function switches() {
    return chart.logarithmic.map(axis => {
      const box = element('input', { type: 'checkbox' });
      box.onchange = () => {
        if (box.checked) logarithmic.add(axis);
        else logarithmic.delete(axis);
        draw();
      };
      return element('label', {}, box, `log ${axis}`);
    });
  }

  function offerFiles() {
    const text = () => csv([chart.columns, ...chart.rows]);
    figure.querySelector('.actions').append(
      button('SVG', async () => save(`${name}.svg`, await view.toSVG(), 'image/svg+xml')),
      button('PNG', async () => save(`${name}.png`, await view.toImageURL('png', 2))),
      button('CSV', () => save(`${name}.csv`, text(), 'text/csv')),
      button('Reset zoom', () => draw(), { title: 'Ctrl + wheel zooms, dragging moves' }),
    );
  }

  /** The rows as a table, made when it is asked for. */
  function rowsBehind() {
    const details = element('details', {}, element('summary', {}, `Data (${chart.rows.length} rows)`));
    details.addEventListener(
      'toggle',
      () => {
        const head = element('tr', {}, ...chart.columns.map(column => element('th', { scope: 'col' }, column)));
        const cells = row => row.map(value => element('td', {}, value === null ? '–' : String(value)));
        const shown = chart.rows.slice(0, 500).map(row => element('tr', {}, ...cells(row)));
        const table = element('table', {}, element('thead', {}, head), element('tbody', {}, ...shown));
        const scroll = element(
          'div',
          { className: 'scroll', tabIndex: 0, role: 'region', ariaLabel: `${name}: rows` },
          table,
        );
        details.append(scroll);
        if (chart.rows.length > 500)
          details.append(element('p', { className: 'note' }, 'The first 500; the CSV has all.'));
      },
      { once: true },
    );
    return details;
  }

  /** The row behind a point, beside the pointer. */
  function tooltip(handler, event, item, value) {
    document.querySelector('.tooltip')?.remove();
    if (value === null || value === undefined || value === '' || !item?.datum) return;
    const list = element('dl');
    chart.columns.forEach((column, i) => {
      const cell = item.datum[chart.fields[i]];
      if (cell !== null && cell !== undefined)
        list.append(element('dt', {}, column), element('dd', {}, readable(cell)));
    });
    const box = element('div', { className: 'tooltip' }, ...thumbnail(item.datum), list);
    document.body.append(box);
    const left = Math.min(event.clientX + 14, innerWidth - box.offsetWidth - 8);
    const below = event.clientY + 14;
    const top = below + box.offsetHeight > innerHeight ? event.clientY - box.offsetHeight - 14 : below;
    box.style.left = `${Math.max(8, left)}px`;
    box.style.top = `${Math.max(8, top)}px`;
  }

  function thumbnail(datum) {
    const src = chart.thumbnails?.images[datum[chart.thumbnails.field]];
    return src === undefined ? [] : [element('img', { src, alt: '' })];
  }
}

const readable = value =>
  typeof value === 'number' && !Number.isInteger(value) ? String(Number(value.toPrecision(5))) : String(value);

/** Panels side by side as far as the page is wide, each as wide as it can be. */
function fitted(spec, width) {
  if (spec.vconcat) return { ...spec, vconcat: spec.vconcat.map(panel => fitted(panel, width)) };
  const autosize = { type: 'fit-x', contains: 'padding' };
  if (!spec.facet) return { ...spec, autosize, width };
  const columns = Math.max(1, Math.min(spec.columns, Math.floor(width / 280)));
  const side = Math.max(120, Math.floor((width - 80) / columns) - 24);
  const isSquare = spec.spec.width === spec.spec.height;
  return { ...spec, columns, spec: { ...spec.spec, width: side, ...(isSquare && { height: side }) } };
}

/** The specification with these axes logarithmic. */
function scaled(part, axes) {
  if (part === null || typeof part !== 'object') return part;
  for (const [key, value] of Object.entries(part)) {
    if (axes.has(key) && value?.type === 'quantitative') {
      Object.assign(value.scale, { type: 'log', nice: false });
      delete value.scale.zero;
    }
    scaled(value, axes);
  }
  return part;
}
