import type { Command } from './command.js';

/** name → lazy import, in the order of `maetok --help`. One line per command. */
export const COMMANDS: Record<string, () => Promise<Command>> = {
  plot: async () => (await import('./plot.js')).plot,
};
