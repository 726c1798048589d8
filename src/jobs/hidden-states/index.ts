export { openHiddenStates, type HiddenStates } from './hidden-states.js';
