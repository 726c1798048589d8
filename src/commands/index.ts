import type { Command } from './command.js';

/** name → lazy import, in the order of `maetok --help`. One line per command. */
export const COMMANDS: Record<string, () => Promise<Command>> = {
  data: async () => (await import('./data.js')).data,
  probe: async () => (await import('./probe.js')).probe,
  plot: async () => (await import('./plot.js')).plot,
  doctor: async () => (await import('./doctor.js')).doctor,
  engine: async () => (await import('./engine.js')).engine,
};
