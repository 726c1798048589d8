import { tf, valueAndGradients, type RandomStream, type Scalar, type Tensor } from '../engine/index.js';
import type { Params } from '../nn/index.js';
import { MAIN } from './network.js';
import type { LossContext, PhaseResult } from './task.js';

/** One loss to differentiate: the task's own, or a phase's. */
export interface PhaseLoss {
  network: string;
  trained: string[];
  loss: (
    params: Params,
    batch: unknown,
    context: LossContext & { shared: Params },
  ) => PhaseResult & { shared?: Params };
}

/** Of one network, sums over the parts of a step. All tensors are the holder's. */
export interface NetworkSums {
  gradients: Params;
  /** To log: the loss and the metrics. */
  scalars: Params & { loss: Tensor };
  /** Newest values. */
  buffers: Params;
}

export interface StepSums {
  /** By name, the task's own first. */
  networks: Record<string, NetworkSums>;
  parts: number;
}

export interface BatchPart {
  step: number;
  random: RandomStream;
  batch: unknown;
  /** Parameters before the step, by network. */
  values: Record<string, Params>;
}

/** Adds the gradients of one batch to `sums`: every objective in turn, later ones seeing what earlier ones share. */
export function addGradients(sums: StepSums, objectives: PhaseLoss[], part: BatchPart): void {
  const shared: Params = {};
  const soFar: Partial<StepSums['networks']> = sums.networks;
  const phases = Object.fromEntries(
    Object.entries(part.values).map(([name, params]) => [name, { ...params, ...soFar[name]?.buffers }]),
  ) as LossContext['phases'];
  for (const objective of objectives) {
    const { network } = objective;
    const random = network === MAIN ? part.random : part.random.for(network);
    const outcome = differentiate(objective, phases[network], part.batch, { step: part.step, random, phases, shared });
    Object.assign(shared, outcome.shared);
    sums.networks[network] = added(soFar[network], outcome.terms);
  }
  tf.dispose(shared);
  sums.parts++;
}

function differentiate(
  { trained, loss }: PhaseLoss,
  params: Params,
  batch: unknown,
  context: LossContext & { shared: Params },
): { terms: NetworkSums; shared: Params } {
  const kept: Params[] = [];
  const forward = (): Scalar => {
    const { loss: value, metrics, buffers = {}, shared = {} } = loss(params, batch, context);
    // The tape's scope ends with this function: what is wanted besides the loss is kept.
    kept.push(...[asTensors(metrics), buffers, shared].map(keep));
    return value;
  };
  const { value, gradients } = valueAndGradients(
    forward,
    trained.map(name => params[name]),
  );
  const [metrics, buffers, shared] = kept;
  const found = trained.flatMap((name, i) => (gradients[i] ? [[name, gradients[i]] as const] : []));
  return { terms: { gradients: Object.fromEntries(found), scalars: { loss: value, ...metrics }, buffers }, shared };
}

const keep = (tensors: Params): Params =>
  Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, tf.keep(tensor.clone())]));

const asTensors = (metrics: PhaseResult['metrics']): Params =>
  Object.fromEntries(
    Object.entries(metrics).map(([name, value]) => [name, typeof value === 'number' ? tf.scalar(value) : value]),
  );

/** Uses up both operands. */
function added(sums: NetworkSums | undefined, terms: NetworkSums): NetworkSums {
  if (!sums) return terms;
  return {
    gradients: merged(sums.gradients, terms.gradients, (sum, term) => sum.add(term)),
    scalars: merged(sums.scalars, terms.scalars, (sum, term) => sum.add(term)),
    buffers: merged(sums.buffers, terms.buffers, (_, newest) => newest.clone()),
  };
}

/** Both records by name, joined where both have a tensor; uses up both. */
function merged<P extends Params>(sums: P, terms: P, join: (sum: Tensor, term: Tensor) => Tensor): P {
  const total: Params = { ...sums };
  for (const [name, term] of Object.entries(terms)) {
    const before = sums[name] as Tensor | undefined;
    total[name] = before ? join(before, term) : term;
    if (before) tf.dispose([before, term]);
  }
  return total as P;
}
