export { joinMpi } from './communicator.js';
export { findMpi, type FoundMpi } from './find.js';
