#!/usr/bin/env node
/*
 * Reports in one line that Node is too old, instead of failing at whatever comes first. Every Node since 10 has to
 * parse this file, as a script or as a module: no `import` declaration, no `import.meta`, no `require`.
 */
const LEAST = [20, 19]; // package.json's `engines` say the same
const [major, minor] = process.versions.node.split('.').map(Number);

if (major < LEAST[0] || (major === LEAST[0] && minor < LEAST[1])) {
  console.error(`maetok: needs Node ${LEAST.join('.')} or newer, this is ${process.version}: https://nodejs.org`);
  process.exitCode = 1;
} else {
  import('./start.js');
}
