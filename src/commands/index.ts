import type { Command } from './command.js';

/** name → lazy import, under the headings and in the order of `maetok --help`. One line per command. */
export const COMMAND_GROUPS: Record<string, Record<string, () => Promise<Command>>> = {
  Models: {
    train: async () => (await import('./train.js')).train,
    sample: async () => (await import('./sample.js')).sample,
    'diffusion-loss': async () => (await import('./diffusion-loss.js')).diffusionLoss,
    conventions: async () => (await import('./conventions.js')).conventions,
    models: async () => (await import('./models.js')).models,
  },
  'Data and latents': {
    data: async () => (await import('./data.js')).data,
    extract: async () => (await import('./extract.js')).extract,
    convert: async () => (await import('./convert.js')).convert,
  },
  Measures: {
    'analyze-gmm': async () => (await import('./analyze-gmm.js')).analyzeGmm,
    probe: async () => (await import('./probe.js')).probe,
    diagnose: async () => (await import('./diagnose.js')).diagnose,
    umap: async () => (await import('./umap.js')).umap,
    evaluate: async () => (await import('./evaluate.js')).evaluate,
    synth: async () => (await import('./synth.js')).synth,
  },
  'Studies and charts': {
    compare: async () => (await import('./compare.js')).compare,
    report: async () => (await import('./report.js')).report,
    scoreboard: async () => (await import('./scoreboard.js')).scoreboard,
    plot: async () => (await import('./plot.js')).plot,
    'compare-images': async () => (await import('./compare-images.js')).compareImages,
    demo: async () => (await import('./demo.js')).demo,
  },
  'This installation': {
    verify: async () => (await import('./verify.js')).verify,
    doctor: async () => (await import('./doctor.js')).doctor,
    runs: async () => (await import('./runs.js')).runs,
    help: async () => (await import('./help.js')).help,
    completion: async () => (await import('./completion.js')).completion,
    engine: async () => (await import('./engine.js')).engine,
  },
};

/** Every command by its name. */
export const COMMANDS = Object.assign({}, ...Object.values(COMMAND_GROUPS)) as Record<string, () => Promise<Command>>;

export { type Command } from './command.js';
export { withHint } from './hints.js';
