import { z } from 'zod';

/** A switch of a published config that is run in these positions alone; any other is refused by name. */
export const only = <T extends string | number | boolean>(
  ...values: [T, ...T[]]
): z.ZodOptional<z.ZodNullable<z.ZodLiteral<T>>> =>
  z
    .literal(values, {
      error: ({ input }) => `${JSON.stringify(input)} is not supported; only ${values.join(', ')} is`,
    })
    .nullish();
