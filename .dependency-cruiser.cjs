const { rooms, doors } = require('./scripts/rooms.cjs');

/** What docs/architecture.md says of rooms, as rules: whom each may import, and that neighbours come in by its doors. */
module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    ...rooms.map(({ name: room, imports }) => ({
      name: `${room}-imports-from-below`,
      severity: 'error',
      from: { path: `^src/${room}/` },
      to: { path: '^src/', pathNot: `^src/(${[room, ...imports].join('|')})/` },
    })),
    ...doors().map(folder => ({
      name: `${folder.slice('src/'.length)}-has-a-door`,
      severity: 'error',
      // Recorded cases hold what happens inside a room, so `verify` alone looks behind doors.
      from: { path: '^src/', pathNot: `^(${folder}|src/verify)/` },
      to: { path: `^${folder}/`, pathNot: '/(index|names|options)\\.ts$' },
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
