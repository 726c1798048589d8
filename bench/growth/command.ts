/* One run of the command line, `command.ts WORDS…`; what it cost goes to file descriptor 3. */
import { writeSync } from 'node:fs';
import { main } from '../../src/cli/index.js';

process.on('exit', () => {
  const { user, system } = process.cpuUsage();
  // maxRSS is in kilobytes.
  writeSync(3, JSON.stringify({ cpu: (user + system) / 1e6, peak: process.resourceUsage().maxRSS / 1024 }));
});
await main(process.argv.slice(2));
