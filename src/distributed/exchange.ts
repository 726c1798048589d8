import { deserialize, serialize } from 'node:v8';
import { concatenated, dealt, UserError } from '../base/index.js';
import type { Communicator, Summed } from './communicator.js';

/** A value of every rank, in the order of ranks. Values are what JSON can hold. */
export async function gatherValues<T>(communicator: Pick<Communicator, 'allGather'>, value: T): Promise<T[]> {
  const all = await communicator.allGather(new TextEncoder().encode(JSON.stringify(value ?? null)));
  return all.map(bytes => JSON.parse(new TextDecoder().decode(bytes)) as T);
}

/** What every rank has computed, in the order of ranks: whatever structured cloning holds, typed arrays among it. */
export async function gatherParts<T>(communicator: Communicator, part: T): Promise<T[]> {
  if (communicator.size === 1) return [part];
  return (await communicator.allGather(serialize(part))).map(bytes => deserialize(bytes) as T);
}

/** Rank 0's value, on every rank. */
export async function valueOfFirst<T>(communicator: Communicator, value: T): Promise<T> {
  const [first] = await gatherValues(communicator, communicator.rank === 0 ? value : null);
  return first as T;
}

/** Adds up several arrays over ranks, in place, in double precision and one exchange. */
export async function sumTogether(communicator: Communicator, arrays: readonly Summed[]): Promise<void> {
  if (communicator.size === 1) return;
  const all = concatenated(Float64Array, arrays);
  await communicator.allReduceSum(all);
  dealt(all, arrays);
}

/** The sum of a number of every rank. */
export async function sumOf(communicator: Communicator, value: number): Promise<number> {
  const sum = Float64Array.of(value);
  await communicator.allReduceSum(sum);
  return sum[0];
}

/** Whether any rank says so: an interruption that only some have heard of yet, for instance. */
export const anyOf = async (communicator: Communicator, here: boolean): Promise<boolean> =>
  (await sumOf(communicator, Number(here))) > 0;

/**
 * Checks that every rank has the same value, such as a digest of its input.
 * @throws UserError on every rank, naming the first that differs and both values.
 */
export const agreeOn = (communicator: Communicator, what: string, value: unknown): Promise<void> =>
  agreeOnEach(communicator, { [what]: value });

/**
 * Checks that every rank has the same values under these names, all in one exchange.
 * @throws UserError on every rank, naming the first of rank 0's that differs, and both values.
 */
export async function agreeOnEach(communicator: Communicator, values: Record<string, unknown>): Promise<void> {
  if (communicator.size === 1) return;
  const own = Object.fromEntries(Object.entries(values).map(([what, value]) => [what, JSON.stringify(value ?? null)]));
  const said: Partial<Record<string, string>>[] = await gatherValues(communicator, own);
  for (const what of Object.keys(said[0])) {
    const [first, ...others] = said.map(one => one[what] ?? 'nothing');
    const other = others.findIndex(one => one !== first);
    if (other >= 0)
      throw new UserError(
        `${what} is not the same for all ranks: ${shortened(first)} for rank 0, ${shortened(others[other])} for rank ${other + 1}; all hosts need the same files and options`,
      );
  }
}

const shortened = (text: string): string => (text.length > 100 ? `${text.slice(0, 100)}…` : text);
