import {
  tf,
  valueAndGradients,
  valueAndGradientsWithPauses,
  type RandomStream,
  type Scalar,
  type Tensor,
} from '../engine/index.js';
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

/** Takes gradients over, summed over the parts of a step, each as soon as nothing is added to it any more. */
export interface GradientSink {
  add(network: string, name: string, gradient: Tensor): void;
  /** The network has no further gradient in this step. */
  end(network: string): void;
  /** Resolves when what is under way had a moment to go on; undefined where nothing is. */
  pause(): Promise<void> | undefined;
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

/**
 * Adds the gradients of one batch to `sums`: every objective in turn, later ones seeing what earlier ones share. With a
 * `sink`, which is for the last part of a step, it gets the gradients in place of `sums`.
 */
export async function addGradients(
  sums: StepSums,
  objectives: PhaseLoss[],
  part: BatchPart,
  sink?: GradientSink,
): Promise<void> {
  const shared: Params = {};
  const soFar: Partial<StepSums['networks']> = sums.networks;
  const phases = Object.fromEntries(
    Object.entries(part.values).map(([name, params]) => [name, { ...params, ...soFar[name]?.buffers }]),
  ) as LossContext['phases'];
  for (const objective of objectives) {
    const { network } = objective;
    const random = network === MAIN ? part.random : part.random.for(network);
    const context = { step: part.step, random, phases, shared };
    const passing = sink && passOn(sink, network, taken(soFar[network]));
    const outcome = await differentiate(objective, phases[network], part.batch, context, passing);
    Object.assign(shared, outcome.shared);
    passing?.end();
    sums.networks[network] = added(soFar[network], outcome.terms);
  }
  tf.dispose(shared);
  sums.parts++;
}

interface Passing {
  take(name: string, gradient: Tensor): void;
  end(): void;
  pause(): Promise<void> | undefined;
}

/** Passes on the last part's gradients with the sums over the parts before. */
function passOn(sink: GradientSink, network: string, before: Params): Passing {
  const waiting = new Map(Object.entries(before));
  return {
    take: (name, gradient) => {
      const sum = waiting.get(name);
      waiting.delete(name);
      sink.add(network, name, sum ? joined(sum, gradient) : gradient);
    },
    end: () => {
      for (const [name, sum] of waiting) sink.add(network, name, sum);
      sink.end(network);
    },
    pause: () => sink.pause(),
  };
}

/** The gradients so far, which the sums are left without. */
function taken(sums: NetworkSums | undefined): Params {
  if (!sums) return {};
  const { gradients } = sums;
  sums.gradients = {};
  return gradients;
}

/** Uses up both. */
function joined(a: Tensor, b: Tensor): Tensor {
  const sum = a.add(b);
  tf.dispose([a, b]);
  return sum;
}

async function differentiate(
  { trained, loss }: PhaseLoss,
  params: Params,
  batch: unknown,
  context: LossContext & { shared: Params },
  passing: Passing | undefined,
): Promise<{ terms: NetworkSums; shared: Params }> {
  const kept: Params[] = [];
  const forward = (): Scalar => {
    const { loss: value, metrics, buffers = {}, shared = {} } = loss(params, batch, context);
    // The tape's scope ends with this function: what is wanted besides the loss is kept.
    kept.push(...[asTensors(metrics), buffers, shared].map(keep));
    return value;
  };
  const xs = trained.map(name => params[name]);
  const { value, gradients } = passing
    ? await valueAndGradientsWithPauses(forward, xs, {
        take: (i, gradient) => passing.take(trained[i], gradient),
        pause: () => passing.pause(),
      })
    : valueAndGradients(forward, xs);
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
