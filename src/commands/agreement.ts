import type { z } from 'zod';
import { kebab } from '../base/index.js';
import type { Context } from './command.js';
import { picked } from './table.js';

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
