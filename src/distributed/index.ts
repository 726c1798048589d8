export { alone, type Communicator } from './communicator.js';
