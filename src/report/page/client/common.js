/** What the page's other scripts share. */
globalThis.page = {
  /** An element with properties, attributes (`aria-…`, `data-…`), and children: elements or text. */
  element(name, properties = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(properties)) {
      if (key.includes('-')) made.setAttribute(key, value);
      else made[key] = value;
    }
    made.append(...children);
    return made;
  },

  button(label, onclick, properties = {}) {
    return page.element('button', { type: 'button', onclick, ...properties }, label);
  },

  /** Tells readers of screens what happened. */
  announce(message) {
    document.getElementById('said').textContent = message;
  },

  async copy(text, what) {
    await navigator.clipboard.writeText(text).catch(() => copyBySelection(text));
    page.announce(`${what} copied`);
  },

  /** Saves a file that the page made: text, or a `data:` address. */
  save(name, content, type) {
    const href = content.startsWith('data:') ? content : URL.createObjectURL(new Blob([content], { type }));
    page.element('a', { href, download: name }).click();
    page.announce(`${name} saved`);
  },

  csv(rows) {
    const cell = value => {
      const text = value === null || value === undefined ? '' : String(value);
      return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    };
    return rows.map(row => `${row.map(cell).join(',')}\n`).join('');
  },
};

/** Where the browser keeps the clipboard from pages, as from those that are opened as files. */
function copyBySelection(text) {
  const area = page.element('textarea', { value: text });
  document.body.append(area);
  area.select();
  document.execCommand('copy');
  area.remove();
}
