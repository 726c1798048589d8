import type { Command } from './command.js';

/** name → lazy import, in the order of `maetok --help`. One line per command. */
export const COMMANDS: Record<string, () => Promise<Command>> = {
  train: async () => (await import('./train.js')).train,
  data: async () => (await import('./data.js')).data,
  extract: async () => (await import('./extract.js')).extract,
  sample: async () => (await import('./sample.js')).sample,
  probe: async () => (await import('./probe.js')).probe,
  plot: async () => (await import('./plot.js')).plot,
  models: async () => (await import('./models.js')).models,
  verify: async () => (await import('./verify.js')).verify,
  convert: async () => (await import('./convert.js')).convert,
  doctor: async () => (await import('./doctor.js')).doctor,
  engine: async () => (await import('./engine.js')).engine,
};
