import type { Command } from './command.js';

/** name → lazy import, in the order of `maetok --help`. One line per command. */
export const COMMANDS: Record<string, () => Promise<Command>> = {
  train: async () => (await import('./train.js')).train,
  data: async () => (await import('./data.js')).data,
  extract: async () => (await import('./extract.js')).extract,
  'diffusion-loss': async () => (await import('./diffusion-loss.js')).diffusionLoss,
  sample: async () => (await import('./sample.js')).sample,
  conventions: async () => (await import('./conventions.js')).conventions,
  evaluate: async () => (await import('./evaluate.js')).evaluate,
  'analyze-gmm': async () => (await import('./analyze-gmm.js')).analyzeGmm,
  probe: async () => (await import('./probe.js')).probe,
  diagnose: async () => (await import('./diagnose.js')).diagnose,
  umap: async () => (await import('./umap.js')).umap,
  synth: async () => (await import('./synth.js')).synth,
  'compare-images': async () => (await import('./compare-images.js')).compareImages,
  scoreboard: async () => (await import('./scoreboard.js')).scoreboard,
  compare: async () => (await import('./compare.js')).compare,
  plot: async () => (await import('./plot.js')).plot,
  models: async () => (await import('./models.js')).models,
  verify: async () => (await import('./verify.js')).verify,
  convert: async () => (await import('./convert.js')).convert,
  demo: async () => (await import('./demo.js')).demo,
  doctor: async () => (await import('./doctor.js')).doctor,
  engine: async () => (await import('./engine.js')).engine,
};

export { type Command } from './command.js';
export { withHint } from './hints.js';
