import pc from 'picocolors';
import { z } from 'zod';
import { definitions } from '../base/index.js';
import { defineCommand } from './command.js';
import { common } from './options.js';

const WIDEST = 100;

export const help = defineCommand({
  name: 'help',
  describe: 'Shows the documentation in the terminal: a page, or the section under a heading.',
  examples: [
    ['maetok help', 'the pages'],
    ['maetok help studies', 'a page'],
    ['maetok help exit codes', 'a section, by words of its heading'],
    ['maetok help umap', 'the page of a command; `maetok umap --help` has its options'],
  ],
  inputs: { name: 'topic', describe: 'a page, or words of a heading', min: 0, max: 20 },
  options: z.object(common),
  async run(_chosen, words, context) {
    const { stdout } = context;
    const { findTopic, pages, renderMarkdown } = await import('../jobs/help/index.js');
    const { bold, cyan, underline } = pc.createColors(stdout.isTTY === true && pc.isColorSupported);
    const width = Math.min(WIDEST, stdout.columns ?? 80);
    if (words.length === 0) {
      const listed = pages().map(({ name, title }): [string, string] => [name, title]);
      stdout.write(
        `${definitions(listed, { width }).join('\n')}\n\n\`maetok help PAGE\` shows a page, \`maetok help WORDS OF A HEADING\` a section of one.\n`,
      );
      return;
    }
    const style = { heading: (text: string) => bold(underline(text)), code: cyan, strong: bold };
    let text: string;
    try {
      text = findTopic(words.join(' '));
    } catch (error) {
      // A command that no page is about.
      const isCommand = await context.run([...words, '--help']).then(
        () => true,
        () => false,
      );
      if (isCommand) return;
      throw error;
    }
    stdout.write(`${renderMarkdown(text, { width, style })}\n`);
  },
});
