import { DARK, PALETTE } from '../theme.js';

/** What charts draw in these colours on white, and the page's property that replaces them. */
const INKS: Record<string, string> = {
  '#000': 'ink',
  black: 'ink',
  '#555': 'soft',
  '#888': 'line',
  '#ddd': 'grid',
  '#e6e6e6': 'grid',
};

/**
 * Charts are drawn for a light page; rules that name their colours give them those of the reader's theme, so that a
 * chart without scripts has them too.
 */
export function themeStyle(): string {
  const properties = (colors: string[]): string => colors.map((color, i) => `--series-${i}: ${color};`).join(' ');
  const replaced = [...PALETTE.map((color, i) => [color, `series-${i}`]), ...Object.entries(INKS)].flatMap(
    ([color, property]) =>
      ['fill', 'stroke'].map(kind => `.chart svg [${kind}="${color}"] { ${kind}: var(--${property}); }`),
  );
  return [
    `:root { ${properties(PALETTE)} }`,
    `@media (prefers-color-scheme: dark) { :root { ${properties(DARK)} } }`,
    ...replaced,
  ].join('\n');
}
