export { EXIT, faultOf, messageOf, StructuredError, unreadable, UserError } from './errors.js';
export { tryLock, withLock, type Holder } from './lock.js';
export { silentLog, type Log, type Progress } from './log.js';
export { nodeSupport } from './node-support.js';
export { begunWith, changes, refuseOtherWork, shown, type Change } from './other-work.js';
export { RandomNumbers } from './random.js';
export { VERSION } from './version.js';
export { explained, namesOf } from './vocabulary.js';
export { camel, closest, kebab, readBoolean, readNumber } from './words.js';
