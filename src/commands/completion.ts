import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { besideSources, UserError } from '../base/index.js';
import { defineCommand } from './command.js';
import { common } from './options.js';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

export const completion = defineCommand({
  name: 'completion',
  describe: 'Prints a script that lets a shell complete commands, flags, choices, and folders of runs and latents.',
  examples: [
    ['source <(maetok completion bash)', 'in ~/.bashrc'],
    ['source <(maetok completion zsh)', 'in ~/.zshrc, after compinit'],
    ['maetok completion fish > ~/.config/fish/completions/maetok.fish', 'once'],
  ],
  inputs: { name: 'shell', describe: SHELLS.join(', '), choices: SHELLS },
  options: z.object(common),
  async run(_chosen, [shell], context) {
    if (!SHELLS.includes(shell as Shell))
      throw new UserError(`completion: no script for '${shell}'; choose ${SHELLS.join(', ')}`);
    context.stdout.write(await readFile(besideSources(`commands/completion/maetok.${shell}`), 'utf8'));
  },
});
