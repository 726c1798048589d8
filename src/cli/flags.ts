import { z } from 'zod';
import { kebab } from '../base/index.js';

/** What a flag takes, inferred from the output of its schema. */
export type FlagKind = 'boolean' | 'number' | 'list' | 'string';

/** What help and parser need to know of one option. */
export interface Flag {
  kind: FlagKind;
  describe: string | undefined;
  /** The default, as it would be typed. */
  fallback: string | undefined;
  /** The allowed words; absent where other values are allowed too. */
  choices: string[] | undefined;
  /** The heading under which --help-all lists it. */
  group: string | undefined;
}

interface Property {
  type?: string;
  description?: string;
  default?: string | number | boolean | (string | number)[];
  enum?: string[];
  items?: { enum?: string[] } | false;
  group?: string;
}

const KINDS: Record<string, FlagKind> = { boolean: 'boolean', number: 'number', integer: 'number', array: 'list' };

const known = new WeakMap<z.ZodObject, Record<string, Flag>>();

/** The options of a command by camelCase name. */
export function flagsOf(schema: z.ZodObject): Record<string, Flag> {
  const flags = known.get(schema) ?? readFlags(schema);
  known.set(schema, flags);
  return flags;
}

function readFlags(schema: z.ZodObject): Record<string, Flag> {
  // The output type determines the kind; the input is always a word.
  const { properties = {} } = z.toJSONSchema(schema, { io: 'output', unrepresentable: 'any' }) as {
    properties?: Record<string, Property>;
  };
  return Object.fromEntries(
    Object.entries(properties).map(
      ([name, { type = '', description, default: fallback, enum: choices, items, group }]) => [
        name,
        {
          kind: Object.hasOwn(KINDS, type) ? KINDS[type] : 'string',
          describe: description,
          fallback: fallback === undefined || String(fallback) === '' ? undefined : typedAs(fallback),
          choices: choices ?? (items ? items.enum : undefined),
          group,
        },
      ],
    ),
  );
}

/** A default as one would type it: 1e-6, not 0.000001. */
const typedAs = (value: NonNullable<Property['default']>): string =>
  typeof value === 'number' && value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential() : String(value);

/** A flag as it is typed: `--batch-size`. */
export const dashed = (name: string): string => `--${kebab(name)}`;
