import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { closest, inPackage, UserError } from '../../base/index.js';

const DOCS = inPackage('docs');

/** A page of the documentation. */
export interface Page {
  /** Its file below docs/, without the ending: what `maetok help` takes. */
  name: string;
  title: string;
  /** Markdown. */
  text: string;
  sections: Section[];
}

interface Section {
  heading: string;
  /** From its heading to the next of its level or above. */
  text: string;
}

/** All pages, in the order of their names. */
export function pages(folder = DOCS): Page[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(file => file.endsWith('.md'));
  return files.sort().map(file => {
    const text = readFileSync(join(folder, file), 'utf8');
    const [first, ...sections] = sectionsOf(text);
    return { name: file.slice(0, -'.md'.length), title: first.heading, text, sections };
  });
}

/** The headings of a page, the page's own first, each with what stands below it. */
function sectionsOf(text: string): Section[] {
  const lines = text.split('\n');
  const headings: { at: number; level: number; heading: string }[] = [];
  let isCode = false;
  for (const [at, line] of lines.entries()) {
    if (line.startsWith('```')) isCode = !isCode;
    const [, marks, heading] = /^(#+) (.*)$/.exec(line) ?? ['', '', ''];
    if (!isCode && marks !== '') headings.push({ at, level: marks.length, heading });
  }
  return headings.map(({ at, level, heading }, i) => {
    const next = headings.slice(i + 1).find(other => other.level <= level);
    return { heading, text: lines.slice(at, next?.at).join('\n') };
  });
}

const plain = (words: string): string =>
  words
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, ' ')
    .trim();

/**
 * The text that a topic names: a page, the section of a heading, or the only heading with these words.
 * @throws UserError where there is none or where there are several.
 */
export function findTopic(topic: string, all = pages()): string {
  const wanted = plain(topic);
  // A page before the page of a command that is called the same.
  const named =
    all.find(({ name }) => plain(name) === wanted) ?? all.find(({ name }) => plain(name.split('/').at(-1)!) === wanted);
  if (named) return named.text;
  const sections = all.flatMap(({ name, sections: own }) => own.map(section => ({ ...section, page: name })));
  const exact = sections.filter(({ heading }) => plain(heading) === wanted);
  const found = exact.length > 0 ? exact : sections.filter(({ heading }) => plain(heading).includes(wanted));
  if (found.length === 1) return found[0].text;
  if (found.length > 1)
    throw new UserError(
      `help: several sections are about '${topic}': ${found.map(({ heading, page }) => `'${heading}' (${page})`).join(', ')}; name one of them, or its page`,
    );
  const meant = closest(topic, [...all.map(({ name }) => name), ...sections.map(({ heading }) => heading)]);
  throw new UserError(
    `help: no page or heading is called '${topic}'${meant === undefined ? ';' : `; did you mean '${meant}'?`} \`maetok help\` lists the pages`,
  );
}
