import { z } from 'zod';
import { UserError } from '../base/index.js';

/** A switch of a published config that is run in these positions alone; any other is refused by name. */
export const only = <T extends string | number | boolean>(
  ...values: [T, ...T[]]
): z.ZodOptional<z.ZodNullable<z.ZodLiteral<T>>> =>
  z
    .literal(values, {
      error: ({ input }) => `${JSON.stringify(input)} is not supported; only ${values.join(', ')} is`,
    })
    .nullish();

/** What a published config says. @throws UserError naming the field that is wrong or not supported. */
export function configFields<T extends z.ZodType>(name: string, schema: T, raw: unknown): z.output<T> {
  const { success, data, error } = schema.safeParse(raw);
  if (success) return data;
  const [issue] = error.issues;
  const field = issue.path.join('.');
  throw new UserError(`${name}: ${field === '' ? '' : `config field ${field}: `}${issue.message}`);
}
