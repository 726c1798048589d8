export { commandLine, planStudy, type Plan } from './plan.js';
export { calibrate } from './calibrate.js';
export { composed, factsOf, kindOf, latentsOnly, withSpaces, type NamedSpace } from './compose.js';
export { hasStudy, savedStudy, saveStudy } from './save.js';
export { chooseSizes, type Sizes } from './sizes.js';
export { writeJointReport, writeReport } from './report.js';
export { interrupted, runSteps, studyProgress, type RunCommand } from './run.js';
export { readStudy, type Study } from './study.js';
export { readTables } from './tables.js';
