/** The rooms of docs/architecture.md as rules: a room imports from the rooms listed for it and from no other. */
const analyses = ['pca', 'gmm', 'probe', 'diagnose', 'umap', 'metrics', 'synth'];
const rooms = {
  base: [],
  io: ['base'],
  simd: ['base'],
  engine: ['base', 'simd'],
  nn: ['base', 'engine'],
  features: ['base', 'engine', 'io', 'nn'],
  ...Object.fromEntries(analyses.map(room => [room, ['base', 'engine', 'io', 'simd']])),
  probe: ['base', 'engine', 'io', 'nn'],
  metrics: ['base', 'engine', 'io', 'nn', 'features'],
  synth: ['base', 'engine', 'io', 'nn', 'gmm', 'umap'],
  tokenizers: ['base', 'engine', 'io', 'nn', 'features'],
  diffusion: ['base', 'engine', 'io', 'nn'],
  training: ['base', 'engine', 'io', 'nn'],
  latents: ['base', 'io'],
  data: ['base', 'io'],
  report: ['base', 'io'],
};
// The steps of the whole job (train a tokenizer, extract, fit, train a diffusion model, sample): rooms put together.
rooms.jobs = Object.keys(rooms);
// Studies: many jobs into one folder with a report.
rooms.compare = Object.keys(rooms);
rooms.commands = [...Object.keys(rooms)];
rooms.cli = ['base', 'commands', 'engine'];

module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    ...Object.entries(rooms).map(([room, allowed]) => ({
      name: `${room}-imports-from-below`,
      severity: 'error',
      from: { path: `^src/${room}/` },
      to: { path: '^src/', pathNot: `^src/(${[room, ...allowed].join('|')})/` },
    })),
    {
      name: 'only-the-engine-room-knows-tensorflow',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/engine/' },
      to: { path: '@tensorflow', dependencyTypesNot: ['type-only'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'require', 'node', 'default'] },
  },
};
