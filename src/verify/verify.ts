import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { EXIT, UserError } from '../base/index.js';
import { tf, type Tensor } from '../engine/index.js';
import { readJson, readSafetensors, readWeights, type NdArray } from '../io/index.js';
import type { VerifiedSystem, VerifyCase } from './case.js';
import { paramsFrom, type HostArray } from '../nn/index.js';
import { verifiedSystems } from './systems.js';

/** One recorded output beside what was computed. */
export interface VerifyRow {
  /** The case's folder and the one above it. */
  case: string;
  tensor: string;
  /** `2x16x32`; empty for a scalar. */
  shape: string;
  max_abs_diff: number;
  /** Relative to the largest magnitude in the recorded tensor. */
  max_rel_diff: number;
  pass: boolean;
}

export interface VerifyOptions {
  /** Largest max_rel_diff that passes; of an adaptive solver's path ten times that. */
  tolerance: number;
  /** Folders in which weights that a case names, but does not hold, are looked for. */
  weightFolders?: string[];
}

/** Recomputes a recorded case: one row per recorded output, in the order of its file. */
export async function verifyCase(folder: string, options: VerifyOptions): Promise<VerifyRow[]> {
  const config = await readConfig(folder);
  const system = systemOf(folder, config);
  const recorded = await readSafetensors(join(folder, 'io.safetensors'));
  const outputs = Object.keys(recorded).filter(name => /^(out|output|mid)\./.test(name));
  const arrays = await ownWeights(folder);
  // One scope for the whole case, so that verifiers read like the formulas and free nothing themselves.
  tf.engine().startScope();
  try {
    const weights = paramsFrom(arrays);
    const results = await recomputed(system, caseOf({ folder, config, recorded, arrays, weights, options }));
    const name = join(basename(dirname(resolve(folder))), basename(resolve(folder)));
    const rows: VerifyRow[] = [];
    for (const tensor of outputs)
      rows.push({ case: name, ...(await compare(tensor, recorded[tensor], results, options)) });
    return rows;
  } finally {
    tf.engine().endScope();
  }
}

/** Anything missing from a case shows up as an undefined value where its system reads it. */
async function recomputed(system: VerifiedSystem, recorded: VerifyCase): ReturnType<VerifiedSystem['verify']> {
  try {
    return await system.verify(recorded);
  } catch (error) {
    const fields = error instanceof z.ZodError ? error.issues.map(({ path }) => path.join('.')).join(', ') : undefined;
    if (fields === undefined && !(error instanceof TypeError)) throw error;
    throw new UserError(
      `${recorded.folder}: is not a complete case of ${system.name}: ${fields === undefined ? 'its config.json, io.safetensors or weights lack something that the system needs' : `its config.json lacks, or has wrong: ${fields}`}`,
      EXIT.usage,
      { cause: error },
    );
  }
}

async function readConfig(folder: string): Promise<Record<string, unknown>> {
  const path = join(folder, 'config.json');
  return (await readJson(path, "a recorded case's config")) as Record<string, unknown>;
}

function systemOf(folder: string, config: Record<string, unknown>): VerifiedSystem {
  const system = verifiedSystems.find(({ recognises }) => recognises(config));
  if (system) return system;
  const told = JSON.stringify(config.system ?? config.kind ?? null);
  const known = verifiedSystems.map(({ name }) => name).join(', ');
  throw new UserError(`${folder}: config.json names no system that maetok knows (${told}); known are ${known}`);
}

async function ownWeights(folder: string): Promise<Record<string, NdArray>> {
  const path = join(folder, 'weights.safetensors');
  return (await exists(path)) ? await readSafetensors(path) : {};
}

interface CaseParts extends Pick<VerifyCase, 'folder' | 'config' | 'weights'> {
  recorded: Record<string, NdArray>;
  arrays: Record<string, NdArray>;
  options: VerifyOptions;
}

function caseOf({ recorded, options, ...parts }: CaseParts): VerifyCase {
  const inputs = Object.entries(recorded).filter(([name]) => /^(in|input)\./.test(name));
  return {
    ...parts,
    recorded,
    inputs: Object.fromEntries(inputs),
    wants: name => Object.hasOwn(recorded, name),
    findWeights: async name => paramsFrom(await readWeights(await findWeights(parts.folder, name, options))),
  };
}

/** Where weights are kept next to recorded cases or to a checkout. */
const BESIDE = ['weights', 'shared/weights'];

/**
 * `name.safetensors` or `name.pth` in the case, in the folders given, or in a folder of weights at or above the case
 * or the working directory.
 */
async function findWeights(folder: string, name: string, { weightFolders = [] }: VerifyOptions): Promise<string> {
  const above = [...upwards(resolve(folder)), ...upwards(process.cwd())];
  const beside = above.flatMap(place => BESIDE.map(name => join(place, name)));
  const folders = [folder, ...weightFolders, ...(await Promise.all(beside.map(foldersIn))).flat()];
  for (const place of new Set(folders)) {
    for (const ending of ['.safetensors', '.pth', '.pt']) {
      const path = join(place, `${name}${ending}`);
      if (await exists(path)) return path;
    }
  }
  throw new UserError(
    `${folder}: its weights '${name}' were found in none of ${[...new Set(folders)].join(', ')}; name their folder by --weights`,
  );
}

/** A folder and all above it. */
function upwards(folder: string): string[] {
  const above = dirname(folder);
  return above === folder ? [folder] : [folder, ...upwards(above)];
}

const foldersIn = async (place: string): Promise<string[]> =>
  (await readdir(place, { withFileTypes: true }).catch(() => []))
    .filter(entry => entry.isDirectory())
    .map(({ name }) => join(place, name));

const exists = async (path: string): Promise<boolean> =>
  await stat(path).then(
    () => true,
    () => false,
  );

async function compare(
  tensor: string,
  expected: NdArray,
  results: Record<string, HostArray | Tensor>,
  { tolerance }: VerifyOptions,
): Promise<Omit<VerifyRow, 'case'>> {
  const shape = expected.shape.join('x');
  if (!Object.hasOwn(results, tensor))
    return { tensor, shape, max_abs_diff: Number.NaN, max_rel_diff: Number.NaN, pass: false };
  const result = results[tensor];
  const data = result instanceof tf.Tensor ? await result.data() : result.data;
  if (data.length !== expected.data.length || !sameShape(result.shape, expected.shape))
    throw new UserError(
      `${tensor}: computed [${result.shape.join(', ')}], recorded [${expected.shape.join(', ')}]`,
      EXIT.failed,
    );
  const { difference, scale } = largest(data, expected.data);
  const relative = difference === 0 ? 0 : difference / scale;
  return {
    tensor,
    shape,
    max_abs_diff: difference,
    max_rel_diff: relative,
    pass: relative <= tolerance * (isAdaptive(tensor) ? 10 : 1) || difference <= allowance(expected),
  };
}

/** Rounding decides where the steps of an adaptive solver fall; the recorded ones ran to a tolerance of 1e-3. */
const isAdaptive = (tensor: string): boolean => tensor.includes('dopri5');

/**
 * Differences that mean nothing whatever the scale: one level of 8-bit pixels, which truncation makes of any rounding,
 * and the rounding of float32 itself where a recorded tensor is all but zero.
 */
const allowance = ({ dtype }: NdArray): number => (dtype === 'uint8' ? 1 : 1e-8);

const sameShape = (a: readonly number[], b: readonly number[]): boolean => squeezed(a) === squeezed(b);
const squeezed = (shape: readonly number[]): string => shape.filter(side => side !== 1).join('x');

function largest(
  actual: ArrayLike<number | bigint>,
  expected: ArrayLike<number | bigint>,
): { difference: number; scale: number } {
  let difference = 0;
  let scale = 0;
  for (let i = 0; i < expected.length; i++) {
    const [a, e] = [Number(actual[i]), Number(expected[i])];
    // Equal infinities, and NaN where NaN was recorded, are agreement.
    if (Object.is(a, e)) continue;
    const apart = Math.abs(a - e);
    if (!(apart <= difference)) difference = Number.isNaN(apart) ? Infinity : apart;
  }
  for (let i = 0; i < expected.length; i++) {
    const magnitude = Math.abs(Number(expected[i]));
    if (Number.isFinite(magnitude)) scale = Math.max(scale, magnitude);
  }
  return { difference, scale };
}
