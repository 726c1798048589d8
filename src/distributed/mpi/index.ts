export { joinMpi } from './communicator.js';
export { findMpi } from './find.js';
