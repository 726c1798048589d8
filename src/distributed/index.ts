export { alone, type Communicator, type Sent, type Summed } from './communicator.js';
export { agreeOn, anyOf, gatherValues, sumOf, valueOfFirst } from './exchange.js';
export { byFirst, heldByFirst, inParts } from './outcome.js';
export { shareOf, type Share } from './share.js';
export { requireSharedFolder } from './shared-folder.js';
