/* One rank of a measurement: `worker.ts WORK FOLDER [quick]`, started alone or by a launcher. Rank 0 prints the median and an answer. */
import { openRanks } from '../../src/cli/ranks.js';
import { WORKS } from './works.js';

const [name, folder, quick] = process.argv.slice(2);
const exit = (code: number, message = 'ended by another rank'): never => {
  process.stderr.write(`${message}\n`);
  process.exit(code);
};

const communicator = await openRanks({ env: process.env, exit });
const result = await WORKS[name as keyof typeof WORKS](communicator, { folder, quick: quick === 'quick' });
if (communicator.rank === 0) process.stdout.write(`${JSON.stringify(result)}\n`);
await communicator.close();
process.exit(0);
