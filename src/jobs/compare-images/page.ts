/** Two images side by side; which is whose only the seed tells. */
export interface ShownPair {
  /** Number of the image in both sets. */
  pair: number;
  /** Data URLs. */
  left: string;
  right: string;
}

export interface PageContent {
  question: string;
  /** Names of the two sets and the seed: what every line of the saved table repeats. */
  a: string;
  b: string;
  seed: number;
  /** Tells pages apart where a browser keeps unfinished judgments. */
  id: string;
  /** In the order in which they are shown. */
  pairs: ShownPair[];
}

const STYLE = `
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
  body { margin: 0 auto; max-width: 1200px; padding: 1rem; text-align: center; }
  h1 { font-size: 1.2rem; margin: .3rem; }
  #pair { display: flex; gap: 2vw; justify-content: center; }
  #pair button { flex: 1; max-width: 46vw; padding: .4rem; background: none; border: 3px solid transparent; border-radius: 8px; cursor: pointer; }
  #pair button:hover, #pair button:focus-visible { border-color: #0072b2; outline: none; }
  #pair img { width: 100%; height: 66vh; object-fit: contain; display: block; }
  #pair img.small { image-rendering: pixelated; }
  nav button { font: inherit; padding: .4rem 1rem; margin: .3rem; }
  progress { width: 60%; } kbd { border: 1px solid #8888; border-radius: 4px; padding: 0 .35em; font-size: .85em; }
  .keys { color: #777; font-size: .9rem; }
  [hidden] { display: none !important; }`;

/* Plain JavaScript of the page; it knows images as left and right only. */
const SCRIPT = `
const { question, a, b, seed, id, pairs } = JSON.parse(document.getElementById('content').textContent);
const element = name => document.getElementById(name);
const key = 'maetok-judgments-' + id;
let judgments = [];
let saved = 0;
let shownAt = 0;

function restore() {
  try { judgments = JSON.parse(localStorage.getItem(key)) || []; } catch { judgments = []; }
}
function remember() {
  try { localStorage.setItem(key, JSON.stringify(judgments)); } catch { /* a browser that keeps nothing */ }
}

function show() {
  const at = judgments.length;
  const finished = at >= pairs.length;
  element('pair').hidden = element('choices').hidden = finished;
  element('done').hidden = !finished;
  element('status').textContent = Math.min(at + 1, pairs.length) + ' of ' + pairs.length;
  element('progress').value = at;
  element('undo').disabled = at === 0;
  element('save').disabled = at === 0;
  if (finished) return;
  element('left-image').src = pairs[at].left;
  element('right-image').src = pairs[at].right;
  shownAt = performance.now();
}

function choose(choice) {
  if (judgments.length >= pairs.length) return;
  const seconds = ((performance.now() - shownAt) / 1000).toFixed(2);
  judgments.push({ pair: pairs[judgments.length].pair, choice, seconds });
  remember();
  show();
}
function undo() {
  judgments.pop();
  remember();
  show();
}

const quoted = text => '"' + String(text).replaceAll('"', '""') + '"';
function table() {
  const lines = judgments.map(({ pair, choice, seconds }) => [seed, pair, quoted(a), quoted(b), choice, seconds].join(','));
  return ['seed,pair,a,b,choice,seconds', ...lines].join('\\n') + '\\n';
}
function save() {
  if (judgments.length === 0) return;
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([table()], { type: 'text/csv' }));
  link.download = 'judgments-' + id + '.csv';
  link.click();
  saved = judgments.length;
}

const KEYS = {
  ArrowLeft: () => choose('left'), '1': () => choose('left'),
  ArrowRight: () => choose('right'), '2': () => choose('right'),
  ArrowDown: () => choose('tie'), '0': () => choose('tie'),
  Backspace: undo, s: save,
};
document.addEventListener('keydown', event => {
  const act = KEYS[event.key];
  if (!act || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  event.preventDefault();
  act();
});
addEventListener('beforeunload', event => { if (judgments.length > saved) event.preventDefault(); });
for (const side of ['left', 'right', 'tie']) element(side).addEventListener('click', () => choose(side));
element('undo').addEventListener('click', undo);
for (const name of ['save', 'save-all']) element(name).addEventListener('click', save);
for (const side of ['left-image', 'right-image'])
  element(side).addEventListener('load', event => event.target.classList.toggle('small', event.target.naturalWidth < 200));
element('question').textContent = question;
element('progress').max = pairs.length;
restore();
show();
`;

const BODY = `
<h1 id="question"></h1>
<p><progress id="progress"></progress> <span id="status" aria-live="polite"></span></p>
<div id="pair">
  <button id="left" aria-label="the left image"><img id="left-image" alt="left image"></button>
  <button id="right" aria-label="the right image"><img id="right-image" alt="right image"></button>
</div>
<nav id="choices"><button id="tie">no difference</button></nav>
<div id="done" hidden><p>All pairs are judged. Thank you!</p><nav><button id="save-all">save the table</button></nav></div>
<nav><button id="undo">undo</button><button id="save">save so far</button></nav>
<p class="keys"><kbd>←</kbd> left · <kbd>→</kbd> right · <kbd>↓</kbd> no difference · <kbd>Backspace</kbd> undo ·
  <kbd>s</kbd> save</p>`;

/** One self-contained HTML page that shows the pairs one after another and saves the judgments as CSV. */
export function judgmentPage(content: PageContent): string {
  // As JSON in a separate script element, only what would end that element needs escaping.
  const json = JSON.stringify(content).replaceAll('<', '\\u003c');
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Which image is better?</title>
<style>${STYLE}
</style>
${BODY}
<script type="application/json" id="content">${json}</script>
<script>${SCRIPT}</script>
</html>
`;
}
