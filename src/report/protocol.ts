import { isRecord, UserError } from '../base/index.js';

/** What the meaning of a file's numbers depends on, as written next to them by a command. */
export interface ProtocolCard {
  /** The file whose numbers it describes. */
  file: string;
  fields: Record<string, unknown>;
}

/** Fields that say what is compared, or when and where it was measured: these may differ. */
const IDENTITY = new Set([
  'argv',
  'command_line',
  'created',
  'engine',
  'inputs',
  'latents',
  'name',
  'out',
  'run',
  'selection',
  'source',
  'sources',
  'started',
  'tokenizer',
  'trained',
  'weights',
]);

/** Refuses rows measured in different ways. @throws UserError naming the field, both files and both values. */
export function requireSameProtocol(cards: ProtocolCard[]): void {
  const found = firstDifference(cards.map(({ file, fields }) => ({ file, fields: compared(fields) })));
  if (!found) return;
  throw new UserError(
    `${found.files} were measured differently: ${found.difference}; measure both in the same way, or give --force to mix them anyway`,
  );
}

/** A warning where networks were trained at different times (`trained` in their cards), which may be what is compared. */
export function trainedDifferently(cards: ProtocolCard[]): string | undefined {
  const found = firstDifference(
    cards.flatMap(({ file, fields: { trained } }) => (isRecord(trained) ? { file, fields: flatFields(trained) } : [])),
  );
  return found && `${found.files} are of networks trained differently: ${found.difference}`;
}

/** The first field in which a file differs from the first file. */
function firstDifference([first, ...others]: { file: string; fields: Record<string, string | undefined> }[]):
  { files: string; difference: string } | undefined {
  for (const other of others) {
    for (const field of new Set([...Object.keys(first.fields), ...Object.keys(other.fields)])) {
      const [ours, theirs] = [first.fields[field], other.fields[field]];
      if (ours === theirs) continue;
      return {
        files: `${first.file} and ${other.file}`,
        difference: `${field} is ${ours ?? 'absent'} in the former and ${theirs ?? 'absent'} in the latter`,
      };
    }
  }
  return undefined;
}

/** Nested fields as `a.b` → JSON text. */
export function flatFields(fields: Record<string, unknown>, prefix = ''): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(fields).flatMap(([name, value]) =>
      isRecord(value)
        ? Object.entries(flatFields(value, `${prefix}${name}.`))
        : [[`${prefix}${name}`, JSON.stringify(value)]],
    ),
  );
}

/** The fields, flat, without those that name what is compared. */
const compared = (fields: Record<string, unknown>): Record<string, string | undefined> =>
  flatFields(Object.fromEntries(Object.entries(fields).filter(([name]) => !IDENTITY.has(name))));
