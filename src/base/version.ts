import { readFileSync } from 'node:fs';
import { inPackage } from './places.js';

const manifest = JSON.parse(readFileSync(inPackage('package.json'), 'utf8')) as { version: string };

/** The version in package.json. */
export const VERSION = manifest.version;
