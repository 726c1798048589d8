import { agreeOnEach, type Communicator } from '../distributed/index.js';
import type { Card } from './table.js';

/**
 * Checks that ranks were started with the same options, version and latents: those of a protocol card but for the command line,
 * whose paths may differ between hosts. @throws UserError on every rank, naming the first field that differs.
 */
export async function agreeOnCard(communicator: Communicator, { sources, ...fields }: Card): Promise<void> {
  const digests = Object.entries(sources as Record<string, string>);
  await agreeOnEach(communicator, {
    ...Object.fromEntries(Object.entries(fields).map(([field, value]) => [`“${field}”`, value])),
    'the list of latents': digests.map(([name]) => name),
    ...Object.fromEntries(digests.map(([name, digest]) => [`${name}: the digest`, digest])),
  });
}
