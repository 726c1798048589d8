import { UserError } from '../base/index.js';

/** A command line that does not say what is to be done. */
export class UsageError extends UserError {}
