import { flatFields } from '../protocol.js';
import { escape } from './markup.js';
import type { Provenance } from './page.js';

/** The command lines and protocol cards behind numbers, each behind a click. */
export function provenance({ commands = [], cards = [] }: Provenance): string {
  return [
    ...(commands.length === 0
      ? []
      : [
          `<details><summary>Command line</summary><pre tabindex="0"><code>${escape(commands.join('\n'))}</code></pre></details>`,
        ]),
    ...(cards.length === 0 ? [] : [`<details><summary>Protocol card</summary>${protocol(cards)}</details>`]),
  ].join('\n');
}

/** What all files have in common once, then what differs between them. */
function protocol(cards: NonNullable<Provenance['cards']>): string {
  const flat = cards.map(({ file, fields }) => ({ file, fields: flatFields(fields) }));
  const names = [...new Set(flat.flatMap(({ fields }) => Object.keys(fields)))];
  const isCommon = (name: string): boolean => new Set(flat.map(({ fields }) => fields[name])).size === 1;
  const common = list(names.filter(isCommon), flat[0].fields);
  const differing = names.filter(name => !isCommon(name));
  if (differing.length === 0) return `<p class="note">${escape(flat.map(({ file }) => file).join(', '))}</p>${common}`;
  return [
    common,
    ...flat.map(({ file, fields }) => `<p class="note">${escape(file)}</p>${list(differing, fields)}`),
  ].join('\n');
}

const list = (names: string[], fields: Record<string, string | undefined>): string =>
  `<dl>${names.map(name => `<dt>${escape(name)}</dt><dd>${escape(fields[name] ?? '–')}</dd>`).join('')}</dl>`;
