import type { Tensor } from '../engine/index.js';
import type { z } from 'zod';
import { UserError } from '../base/index.js';
import type { HostArray, Params } from '../nn/params.js';

/** One recorded case: a system's weights, what it was given and what it answered. */
export interface VerifyCase {
  /** The case's config.json. */
  config: Record<string, unknown>;
  /** The case's own weights under their recorded names; empty where it has none. */
  weights: Params;
  /** The weights as stored in the file. */
  arrays: Record<string, HostArray>;
  /** Recorded tensors named `in.*` or `input.*`, under their full names and in their recorded layout. */
  inputs: Record<string, HostArray>;
  /** All recorded tensors; draws such as a permutation are sometimes filed among the outputs. */
  recorded: Record<string, HostArray>;
  /** Whether the case recorded this output. Anything that it did not need not be computed. */
  wants: (name: string) => boolean;
  /** The case's folder. */
  folder: string;
  /** Weights that the case names but does not hold (`taef2_encoder`). */
  findWeights: (name: string) => Promise<Params>;
}

/**
 * Recomputes what a case recorded: full output name (`out.latents`, `output.moments`) → result in the recorded
 * layout, as an array or a tensor. Every tensor made on the way is freed when the case is over.
 */
export type Verifier = (recorded: VerifyCase) => Promise<Record<string, HostArray | Tensor>>;

/** A system that can be verified, and how its cases are recognised by their config.json. */
export interface VerifiedSystem {
  name: string;
  recognises: (config: Record<string, unknown>) => boolean;
  verify: Verifier;
}

/** What a case's config.json says. @throws UserError naming the first field that is missing or not supported. */
export function caseConfig<T extends z.ZodType>({ folder, config }: VerifyCase, schema: T): z.output<T> {
  const { success, data, error } = schema.safeParse(config);
  if (success) return data;
  const [{ path, message }] = error.issues;
  throw new UserError(`${folder}/config.json: ${path.join('.')}: ${message}`);
}
