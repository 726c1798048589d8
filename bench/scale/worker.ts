/* One rank of a measurement: `worker.ts WORK FOLDER [quick]`, started alone or by a launcher. Rank 0 prints the median and an answer. */
import { shareCores } from '../../src/base/index.js';
import { alone, joinRanks, launchOf, type Communicator } from '../../src/distributed/index.js';
import { WORKS } from './works.js';

const [name, folder, quick] = process.argv.slice(2);
const launch = launchOf(process.env);
const lost = (code: number, message?: string): never => {
  process.stderr.write(`${message ?? 'ended by another rank'}\n`);
  process.exit(code);
};

async function joined(): Promise<Communicator> {
  if (!launch || launch.size === 1) return alone;
  const { communicator, sharing } = await joinRanks(launch, { env: process.env, lost });
  shareCores(sharing);
  return communicator;
}

const communicator = await joined();
const result = await WORKS[name as keyof typeof WORKS](communicator, { folder, quick: quick === 'quick' });
if (communicator.rank === 0) process.stdout.write(`${JSON.stringify(result)}\n`);
await communicator.close();
process.exit(0);
