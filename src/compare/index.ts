export { planStudy, type Plan, type Step } from './plan.js';
export { writeReport } from './report.js';
export { interrupted, runSteps, type RunCommand } from './run.js';
export { checkStudy, readStudy, type Study } from './study.js';
export { judgeClaims, summarise } from './summary.js';
export { readTables, type StudyTables } from './tables.js';
