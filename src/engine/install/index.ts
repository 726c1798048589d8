export { engineCache, installedEngines } from '../installed.js';
export { installEngine, planInstall } from './install.js';
export { removeEngine } from './remove.js';
