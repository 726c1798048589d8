export { concatenated, dealt } from './arrays.js';
export { availableCores, shareCores } from './cores.js';
export {
  EXIT,
  faultOf,
  messageOf,
  StructuredError,
  unlabelled,
  unreadable,
  UserError,
  type FailureCode,
} from './errors.js';
export { foldersBelow, type FoundFolder } from './folders.js';
export { tryLock, withLock, type Holder } from './lock.js';
export { inPhase, silentLog, type Log, type Progress } from './log.js';
export { nodeSupport } from './node-support.js';
export { begunWith, changes, refuseOtherWork, shown, type Change } from './other-work.js';
export { RandomNumbers, type RowsOfBatch } from './random.js';
export { besideSources, BUILT, inPackage } from './places.js';
export { isRecord } from './record.js';
export { definitions, firstSentence, padded, wrap } from './text.js';
export { VERSION } from './version.js';
export { explained, namesOf } from './vocabulary.js';
export { camel, closest, kebab, quoted, readBoolean, readNumber } from './words.js';
