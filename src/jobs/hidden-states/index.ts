export { openHiddenStates } from './hidden-states.js';
