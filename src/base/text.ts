/*
 * Text in columns of a terminal. A character is taken to be one column wide, which holds for what maetok writes.
 */

/** Lines of at most `width` characters; a longer word has a line of its own. Hard spaces (U+00A0) break no line. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(/[ \t\n]+/).filter(word => word !== '')) {
    const line = lines.at(-1);
    if (line !== undefined && line.length + 1 + word.length <= width) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** Up to the first full stop, semicolon or question mark. */
export const firstSentence = (text: string): string => /^.*?[.;?](?=\s|$)/s.exec(text)?.[0].replace(/;$/, '.') ?? text;

/** `text` with spaces up to `width` characters. */
export const padded = (text: string, width: number): string => text + ' '.repeat(Math.max(0, width - text.length));

export interface TermsOptions {
  width: number;
  /** The widest term that has its meaning beside it; that of a wider one stands below it. */
  widest?: number;
}

const GAP = 2;

/** Terms with their meanings in a second column, as in a list of options. */
export function definitions(terms: [term: string, meaning: string][], { width, widest = 26 }: TermsOptions): string[] {
  const column = GAP + Math.min(widest, Math.max(0, ...terms.map(([term]) => term.length))) + GAP;
  const space = ' '.repeat(column);
  return terms.flatMap(([term, meaning]) => {
    const lines = wrap(meaning, width - column).map(line => space + line);
    const start = ' '.repeat(GAP) + term;
    if (lines.length === 0 || start.length + GAP > column) return [start, ...lines];
    return [padded(start, column) + lines[0].slice(column), ...lines.slice(1)];
  });
}
