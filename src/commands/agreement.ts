import type { z } from 'zod';
import { kebab } from '../base/index.js';
import type { Communicator } from '../distributed/index.js';
import type { Context } from './command.js';
import { picked, type Card } from './table.js';

/** @throws UserError on every rank, where some were started with other options or inputs than rank 0. */
export async function agreeOnOptions<S extends z.ZodObject>(
  { communicator }: Pick<Context, 'communicator'>,
  { shape }: S,
  chosen: z.output<S>,
  inputs: readonly string[],
): Promise<void> {
  const { agreeOnEach } = await import('../distributed/index.js');
  const options = Object.entries(picked(chosen, Object.keys(shape)));
  await agreeOnEach(communicator, {
    'the list of inputs': inputs,
    ...Object.fromEntries(options.map(([name, value]) => [`--${kebab(name)}`, value])),
  });
}

/**
 * The same of a protocol card and its sources: what is wrong with the latents is told by their names. @throws UserError on every
 * rank, naming the first field that differs.
 */
export async function agreeOnCard(communicator: Communicator, { sources, ...fields }: Card): Promise<void> {
  const { agreeOnEach } = await import('../distributed/index.js');
  const digests = Object.entries(sources as Record<string, string>);
  await agreeOnEach(communicator, {
    ...Object.fromEntries(Object.entries(fields).map(([field, value]) => [`“${field}”`, value])),
    'the list of latents': digests.map(([name]) => name),
    ...Object.fromEntries(digests.map(([name, digest]) => [`${name}: the digest`, digest])),
  });
}
