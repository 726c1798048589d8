export { alone, type Communicator, type Sent, type Summed } from './communicator.js';
export {
  agreeOn,
  agreeOnEach,
  anyOf,
  gatherParts,
  gatherValues,
  sumOf,
  sumTogether,
  valueOfFirst,
} from './exchange.js';
export { gathered } from './gather.js';
export { joinRanks } from './join.js';
export { launchOf } from './launcher.js';
export { findMpi } from './mpi/index.js';
export { byFirst, heldByFirst, inParts } from './outcome.js';
export { cutAtMultiples, ofRank, shareOf, shareOfStretches, type OfRanks, type Share } from './share.js';
export { requireSharedFolder } from './shared-folder.js';
export { inTurns, turnsOf } from './turns.js';
