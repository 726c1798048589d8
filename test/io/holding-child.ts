/* Run by hold.test.ts and others as a process of its own: holds the folder given until it is killed. */
import { holdFolder } from '../../src/io/hold.js';

await holdFolder(process.argv[2], {}, async () => {
  process.stdout.write('held\n');
  await new Promise(resolve => setTimeout(resolve, 60_000));
});
