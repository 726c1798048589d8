export { diagnoseLatents } from './diagnose.js';
