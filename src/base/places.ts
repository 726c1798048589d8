import { fileURLToPath } from 'node:url';

/*
 * Where files lie that are read at run time. The build moves code into dist/chunks, as deep as this folder is, so paths
 * are relative to here and nowhere else.
 */

/** Whether this is the built program: TypeScript that is run without a build has no scripts for its threads. */
export const BUILT = import.meta.url.endsWith('.js');

/** A file or folder of the package: `docs`, `studies/small.yaml`. */
export const inPackage = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** A file of src/ that is no TypeScript, or in the built program a script: `data/worker.js`. */
export const besideSources = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));
