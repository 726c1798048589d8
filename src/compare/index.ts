export { planStudy, type Plan, type Space, type Step } from './plan.js';
export { runSteps, type RunCommand } from './run.js';
export { checkStudy, readStudy, type Study } from './study.js';
