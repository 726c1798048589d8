export { commandLine, planStudy, type Plan } from './plan.js';
export { writeReport } from './report.js';
export { interrupted, runSteps, type RunCommand } from './run.js';
export { readStudy, type Study } from './study.js';
export { readTables } from './tables.js';
