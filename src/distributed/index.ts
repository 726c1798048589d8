export { alone, type Communicator, type Sent, type Summed } from './communicator.js';
export { agreeOn, anyOf, gatherValues, sumOf, valueOfFirst } from './exchange.js';
export { shareOf, type Share } from './share.js';
