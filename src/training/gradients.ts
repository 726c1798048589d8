import { tf, valueAndGradients, type RandomStream, type Scalar, type Tensor } from '../engine/index.js';
import type { Params } from '../nn/index.js';
import { MAIN } from './network.js';
import type { LossContext, PhaseResult } from './task.js';

/** One loss to differentiate: the task's own, or a phase's. */
export interface Objective {
  name: string;
  trained: string[];
  loss: (params: Params, batch: unknown, context: LossContext) => PhaseResult;
}

/** Sums over the parts of a step, by objective. All tensors are the holder's. */
export interface StepGradients {
  gradients: Record<string, Params>;
  /** Newest values of buffers. */
  buffers: Record<string, Params>;
  /** Scalars to log: `loss`, `<metric>`, and for phases `<phase>_loss`, `<phase>_<metric>`. */
  scalars: Record<string, Tensor>;
  /** Those among the scalars that were differentiated. */
  losses: Set<string>;
  parts: number;
}

export const noGradients = (): StepGradients => ({
  gradients: {},
  buffers: {},
  scalars: {},
  losses: new Set(),
  parts: 0,
});

export interface Part {
  step: number;
  random: RandomStream;
  batch: unknown;
  /** Parameters before the step, by network. */
  values: Record<string, Params>;
}

/** Adds the gradients of one batch to `sums`: every objective in turn, later ones seeing what earlier ones share. */
export function addGradients(sums: StepGradients, objectives: Objective[], part: Part): void {
  const shared: Params = {};
  const phases = Object.fromEntries(
    Object.entries(part.values).map(([name, params]) => [name, { ...params, ...sums.buffers[name] }]),
  );
  for (const objective of objectives) {
    const { name } = objective;
    const random = name === MAIN ? part.random : part.random.for(name);
    const outcome = differentiate(objective, phases[name], part.batch, { step: part.step, random, phases, shared });
    Object.assign(shared, outcome.shared);
    sums.gradients[name] = added(sums.gradients[name], outcome.gradients);
    replace((sums.buffers[name] ??= {}), outcome.buffers);
    const prefix = name === MAIN ? '' : `${name}_`;
    const scalars = Object.fromEntries(Object.entries(outcome.scalars).map(([key, value]) => [prefix + key, value]));
    sums.scalars = added(sums.scalars, scalars);
    sums.losses.add(`${prefix}loss`);
  }
  tf.dispose(shared);
  sums.parts++;
}

interface Outcome {
  gradients: Params;
  buffers: Params;
  shared: Params;
  scalars: Params;
}

function differentiate({ trained, loss }: Objective, params: Params, batch: unknown, context: LossContext): Outcome {
  const outcome: Omit<Outcome, 'gradients'> = { buffers: {}, shared: {}, scalars: {} };
  const forward = (): Scalar => {
    const { loss: value, metrics, buffers = {}, shared = {} } = loss(params, batch, context);
    // The tape's scope ends with this function: what is wanted besides the loss is kept.
    outcome.buffers = kept(buffers);
    outcome.shared = kept(shared);
    outcome.scalars = kept({ loss: value, ...asTensors(metrics) });
    return value;
  };
  const { value, gradients } = valueAndGradients(
    forward,
    trained.map(name => params[name]),
  );
  value.dispose();
  const found = trained.flatMap((name, i) => (gradients[i] ? [[name, gradients[i]] as const] : []));
  return { ...outcome, gradients: Object.fromEntries(found) };
}

const kept = (tensors: Params): Params =>
  Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, tf.keep(tensor.clone())]));

const asTensors = (metrics: PhaseResult['metrics']): Params =>
  Object.fromEntries(
    Object.entries(metrics).map(([name, value]) => [name, typeof value === 'number' ? tf.scalar(value) : value]),
  );

/** Sums by name; both operands are used up. */
function added(sums: Params | undefined, terms: Params): Params {
  if (!sums) return terms;
  const total = { ...sums };
  for (const [name, term] of Object.entries(terms)) {
    const before = sums[name] as Tensor | undefined;
    total[name] = before ? before.add(term) : term;
    if (before) tf.dispose([before, term]);
  }
  return total;
}

function replace(values: Params, by: Params): void {
  for (const name in by) {
    if (name in values) values[name].dispose();
    values[name] = by[name];
  }
}
