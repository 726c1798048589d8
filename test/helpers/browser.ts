import { existsSync } from 'node:fs';

const KNOWN = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** A Chromium on this machine: the one that CHROMIUM names, or one in its usual place. */
export const CHROMIUM = process.env.CHROMIUM ?? KNOWN.find(path => existsSync(path));
