import { basename } from 'node:path';
import { z } from 'zod';
import { UserError } from '../../base/index.js';
import { count, number } from '../../base/options.js';
import { weights } from '../../io/options.js';

/* How the hidden states of a diffusion model are named where latents are. */

const PREFIX = 'sit:';

/** What to write, for help and errors. */
export const HIDDEN_STATES_FORM = 'sit:RUN@block8,t=0.5[,labels=given|none][,tokens=all|mean][,latents=PATH]';

const settings = z.strictObject({
  /** Time, 0 noise and 1 data, to which the latents are noised. */
  t: number.min(0).max(1),
  /** Whether the network is told the classes, or gets the null class for all. */
  labels: z.enum(['given', 'none']).default('none'),
  /** Every token, or their mean. */
  tokens: z.enum(['all', 'mean']).default('all'),
  /** The latents that are noised; default: those that the run was trained on. */
  latents: z.string().min(1).optional(),
  weights,
  /** Of published weights, where they cannot be inferred. */
  heads: count.optional(),
});

export interface HiddenStatesSpec extends z.output<typeof settings> {
  /** A run of `train sit-… | lightningdit-…`, or published weights. */
  run: string;
  /** Tokens after so many blocks; 0: before the first. */
  block: number;
}

export const isHiddenStates = (spec: string): boolean => spec.startsWith(PREFIX);

/** Short for a column of names: `sit@block8,t=0.5`. */
export const hiddenStatesName = (spec: string): string => {
  const { run, block, t, labels } = readHiddenStates(spec);
  return `${basename(run)}@block${block},t=${t}${labels === 'given' ? ',labels=given' : ''}`;
};

/** @throws UserError for what is not of the form. */
export function readHiddenStates(spec: string): HiddenStatesSpec {
  const found = /^sit:(.+)@block(\d+)((?:,[^,=]+=[^,]*)*)$/.exec(spec);
  if (!found) throw new UserError(`${spec}: hidden states are named ${HIDDEN_STATES_FORM}`);
  const [, run, block, rest] = found;
  const words = rest
    .split(',')
    .slice(1)
    .map(word => [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)] as const);
  const outcome = settings.safeParse(Object.fromEntries(words));
  if (outcome.success) return { run, block: Number(block), ...outcome.data };
  const [{ code, path, message }] = outcome.error.issues;
  if (code === 'unrecognized_keys')
    throw new UserError(`${spec}: only ${Object.keys(settings.shape).join(', ')} can be set after the block`);
  const name = path.join('.');
  throw new UserError(
    name in Object.fromEntries(words)
      ? `${spec}: ${name} ${message}`
      : `${spec}: has no ${name}; write ${HIDDEN_STATES_FORM}`,
  );
}
