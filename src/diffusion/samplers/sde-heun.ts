import { stochastic } from './sde.js';

export const offered = stochastic('heun');
