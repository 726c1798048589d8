/* One rank of a measurement: `worker.ts WORK PLACE`, the place as JSON, started alone or by a launcher. Rank 0 prints what was measured. */
import { openRanks } from '../../src/cli/ranks.js';
import { WORKS, type Place } from './works.js';

const [name, place] = process.argv.slice(2);
const exit = (code: number, message = 'ended by another rank'): never => {
  process.stderr.write(`${message}\n`);
  process.exit(code);
};

const communicator = await openRanks({ env: process.env, exit });
const result = await WORKS[name as keyof typeof WORKS](communicator, JSON.parse(place) as Place);
if (communicator.rank === 0) process.stdout.write(`${JSON.stringify(result)}\n`);
await communicator.close();
process.exit(0);
