import { describe, expect, test } from '@jest/globals';
import { findTopic, pages, renderMarkdown } from '../../src/jobs/help/index.js';
import { maetok } from '../helpers/cli.js';

const style = {
  heading: (text: string) => `#${text}#`,
  code: (text: string) => `<${text}>`,
  strong: (text: string) => `!${text}!`,
};
const rendered = (text: string, width = 30): string[] => renderMarkdown(text, { width, style }).split('\n');

describe('Markdown in a terminal', () => {
  test('headings, paragraphs, links; pictures are left out', () => {
    expect(rendered('# Title\n\n![a figure](a.png)\n\nWords of [a page](page.md) and `code`,\nwrapped.')).toEqual([
      '#Title#',
      '',
      'Words of a page and <code>,',
      'wrapped.',
    ]);
  });

  test('lists keep their indentation, code its lines', () => {
    expect(rendered('- one that is **long** enough\n  for two\n  - two\n\n```sh\na  b\n\nc\n```')).toEqual([
      '- one that is !long! enough',
      '  for two',
      '  - two',
      '',
      '    <a  b>',
      '    <>',
      '    <c>',
    ]);
  });

  test('tables fit: the widest column gives way', () => {
    expect(rendered('| a | b |\n| - | - |\n| `x \\| y` | words that need several lines here |')).toEqual([
      '!a      b!',
      '─────  ───────────────────────',
      'x | y  words that need several',
      '       lines here',
    ]);
  });
});

describe('topics', () => {
  const all = pages();

  test('every page fits 80 columns but for its code', () => {
    const plain = { heading: String, code: String, strong: String };
    for (const { text } of all) {
      const lines = renderMarkdown(text, { width: 80, style: plain }).split('\n');
      // An address or a long command is one word.
      const wide = lines.filter(line => line.length > 80 && !line.startsWith('    ') && /\s/.test(line.trim()));
      expect(wide).toEqual([]);
    }
  });

  test('a page before the command that is called the same, which is found by its full name', () => {
    expect(findTopic('data', all)).toBe(all.find(({ name }) => name === 'data')?.text);
    expect(findTopic('commands/data', all)).toBe(all.find(({ name }) => name === 'commands/data')?.text);
    expect(findTopic('plot', all)).toMatch(/^# maetok plot/);
  });

  test('a page by its name, a section by its heading or words of it', () => {
    expect(findTopic('command-line', all)).toMatch(/^# The command line/);
    expect(findTopic('Exit codes and signals', all)).toMatch(/^## Exit codes and signals\n/);
    expect(findTopic('exit codes', all)).toBe(findTopic('exit codes and signals', all));
    expect(findTopic('exit codes', all)).not.toContain('\n## ');
  });

  test.each([
    [['help', 'trianing'], /no page or heading is called 'trianing'; did you mean 'training'\? `maetok help` lists/],
    [['help', 'zzzz'], /`maetok help` lists the pages/],
  ])('%j: one line, exit 2', async (words, complaint) => {
    const { code, stderr } = await maetok(...words);
    expect({ code, lines: stderr.trim().split('\n').length }).toEqual({ code: 2, lines: 1 });
    expect(stderr).toMatch(complaint);
  });

  test('the pages are listed; a command without a page shows its help', async () => {
    const { code, stdout } = await maetok('help');
    expect(code).toBe(0);
    for (const { name, title } of all) expect(stdout).toMatch(new RegExp(`^ +${name} +${title.slice(0, 10)}`, 'm'));
    expect((await maetok('help', 'train', 'ae')).stdout).toBe((await maetok('train', 'ae', '--help')).stdout);
  });
});
