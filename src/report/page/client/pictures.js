/* Size of pictures, differences from originals, choice of samples. */
for (const figure of document.querySelectorAll('.pictures')) {
  const { element } = page;
  const controls = figure.querySelector('.controls');
  const { kind } = figure.dataset;
  if (kind !== 'grid') controls.append(slider('size', sizes(figure), size => resize(figure, size)));
  if (kind === 'reconstructions') controls.append(differences(figure));
  if (kind === 'samples') controls.append(...choices(figure));

  function sizes() {
    const side = parseInt(getComputedStyle(figure).getPropertyValue('--side'), 10);
    return { values: [48, 64, 84, 112, 144, 192, 256, 384, 512].map(String), start: String(side), unit: ' px' };
  }

  /** A slider over values, with the chosen one beside it. */
  function slider(name, { values, start, unit = '' }, onChange) {
    const output = element('output', {}, `${start}${unit}`);
    const input = element('input', { type: 'range', min: 0, max: values.length - 1, step: 1 });
    input.value = String(Math.max(0, values.indexOf(start)));
    input.name = name;
    const tell = () => {
      const value = values[input.valueAsNumber];
      output.textContent = `${value}${unit}`;
      input.setAttribute('aria-valuetext', output.textContent);
      onChange(value);
    };
    input.oninput = tell;
    input.setAttribute('aria-valuetext', output.textContent);
    return element('label', {}, name, input, output);
  }

  function chooser(name, options, onChange) {
    const select = element('select', { name }, ...options.map(([value, label]) => new Option(label, value)));
    select.onchange = () => onChange(select.value);
    return element('label', {}, name, select);
  }

  function resize(figure, size) {
    figure.style.setProperty('--side', `${size}px`);
  }

  function differences(figure) {
    const options = [
      ['', 'images'],
      ['1', 'difference from the original'],
      ['4', 'difference × 4'],
    ];
    return chooser('show', options, gain => {
      for (const table of figure.querySelectorAll('.side-by-side')) table.classList.toggle('difference', gain !== '');
      figure.style.setProperty('--gain', gain);
      for (const original of figure.querySelectorAll('.original img'))
        original.closest('tr').style.setProperty('--original', `url("${original.src}")`);
    });
  }

  /** A slider over guidance where a sweep was run, and a choice of class where there are several. */
  function choices(figure) {
    const samples = [...figure.querySelectorAll('.sample')];
    const valuesOf = key => [
      ...new Set(samples.map(({ dataset }) => dataset[key]).filter(value => value !== undefined)),
    ];
    const wanted = {};
    const choose = (key, value) => {
      wanted[key] = value;
      for (const sample of samples)
        sample.hidden = Object.entries(wanted).some(([key, value]) => value !== '' && sample.dataset[key] !== value);
    };
    const classes = valuesOf('class');
    const guidances = valuesOf('guidance').sort((a, b) => a - b);
    const made = [];
    if (classes.length > 1)
      made.push(
        chooser('class', [['', 'all'], ...classes.map(value => [value, value])], value => choose('class', value)),
      );
    if (guidances.length > 1) {
      made.push(slider('guidance', { values: guidances, start: guidances[0] }, value => choose('guidance', value)));
      choose('guidance', guidances[0]);
    }
    return made;
  }
}
