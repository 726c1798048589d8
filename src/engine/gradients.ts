import { tf, type Tensor } from './tf.js';
/* Reverse-mode differentiation over TensorFlow.js's tape, giving memory back while it walks. */

/** One recorded operation. */
interface TapeNode {
  id: number;
  kernelName: string;
  outputs: Tensor[];
  inputs: Record<string, Tensor>;
  gradient?: (dys: (Tensor | null)[]) => Record<string, () => Tensor>;
  saved?: Tensor[] | undefined;
}

/** The private parts of TensorFlow.js's engine that record a tape. */
interface Recorder {
  state: { activeTape: TapeNode[] | null; gradientDepth: number };
  startTape(): void;
  endTape(): void;
}

export interface ValueAndGradients<T extends Tensor> {
  value: T;
  /** One per x; undefined where y does not depend on it, and where it was taken. */
  gradients: (Tensor | undefined)[];
}

/** Takes over the gradient of an x, by its place, once nothing is added to it any more; the walk goes on afterwards. */
export type GradientTaker = (index: number, gradient: Tensor) => void;

interface WalkOptions {
  /** Default: ones. */
  dy?: Tensor | undefined;
  take?: GradientTaker | undefined;
}

/**
 * y = f() and the gradients of ⟨dy, y⟩ with respect to `xs`. TensorFlow.js's own `grads` keeps every
 * saved activation and every intermediate gradient until the end; here each is freed as soon as the walk is past it,
 * which roughly halves the peak. The caller owns the results; tensors that `f` wants to hand out besides y must be
 * kept by it. Both directions may be used again within: in `f` (there by TensorFlow.js's own means, without `take`) and
 * in a custom gradient. With `take` each gradient is handed out during the walk, in the order in which they are final.
 */
export function valueAndGradients<T extends Tensor>(
  f: () => T,
  xs: Tensor[],
  options: WalkOptions = {},
): ValueAndGradients<T> {
  if (recorder().state.gradientDepth > 0) {
    const { value, grads } = tf.engine().gradients(f, xs, options.dy, true) as {
      value: T;
      grads: (Tensor | undefined)[];
    };
    return { value, gradients: grads };
  }
  const walk = differentiate(f, xs, options);
  for (;;) {
    const { done, value } = walk.next();
    if (done) return value;
  }
}

/**
 * The same, not within another differentiation, with pauses: the walk goes on from each operation to the one before
 * when what `pause` returned has resolved, at once where it returned nothing.
 */
export async function valueAndGradientsWithPauses<T extends Tensor>(
  f: () => T,
  xs: Tensor[],
  { pause, ...options }: WalkOptions & { pause: () => Promise<void> | undefined },
): Promise<ValueAndGradients<T>> {
  const walk = differentiate(f, xs, options);
  for (;;) {
    const { done, value } = walk.next();
    if (done) return value;
    const paused = pause();
    if (paused) await paused;
  }
}

/** Yields after each operation of the walk. */
function* differentiate<T extends Tensor>(
  f: () => T,
  xs: Tensor[],
  options: WalkOptions,
): Generator<undefined, ValueAndGradients<T>> {
  const { value, tape } = record(f);
  try {
    const path = pathFrom(xs, value, tape);
    const onPath = new Set(path.map(node => node.id));
    for (const node of tape) if (!onPath.has(node.id)) release(node);
    return { value, gradients: yield* walkBack(path, value, xs, options) };
  } catch (error) {
    value.dispose();
    throw error;
  } finally {
    tape.forEach(release);
  }
}

const recorder = (): Recorder => tf.engine() as unknown as Recorder;

/** Runs `f` under a tape of its own; one that a walk is under way on (we are in a custom gradient) is put back. */
function record<T extends Tensor>(f: () => T): { value: T; tape: TapeNode[] } {
  const engine = recorder();
  const outer = engine.state.activeTape;
  engine.startTape();
  try {
    const value = tf.tidy(f);
    return { value, tape: engine.state.activeTape! };
  } catch (error) {
    engine.state.activeTape?.forEach(release);
    throw error;
  } finally {
    engine.endTape();
    engine.state.activeTape = outer;
  }
}

function release(node: TapeNode): void {
  node.saved?.forEach(tensor => tensor.dispose());
  node.saved = undefined;
}

/** The recorded operations that lie between some x and y, in their order, with their inputs cut to those from an x. */
function pathFrom(xs: Tensor[], y: Tensor, tape: TapeNode[]): TapeNode[] {
  const fromX = new Set(xs.map(x => x.id));
  const reached = tape.filter(({ inputs, outputs }) => {
    const depends = Object.values(inputs).some(input => fromX.has(input.id));
    if (depends) for (const output of outputs) fromX.add(output.id);
    return depends;
  });
  const towardsY = new Set([y.id]);
  const path: TapeNode[] = [];
  for (const node of reached.reverse()) {
    if (!node.outputs.some(output => towardsY.has(output.id))) continue;
    const inputs = Object.entries(node.inputs).filter(([, input]) => fromX.has(input.id));
    for (const [, input] of inputs) towardsY.add(input.id);
    path.push({ ...node, inputs: Object.fromEntries(inputs) });
  }
  return path.reverse();
}

function* walkBack(
  path: TapeNode[],
  y: Tensor,
  xs: Tensor[],
  { dy, take }: WalkOptions,
): Generator<undefined, (Tensor | undefined)[]> {
  const gradients = new Map<number, Tensor>([[y.id, dy ? dy.clone() : tf.onesLike(y)]]);
  const final = take && firstUses(path, xs);
  for (const node of [...path].reverse()) {
    const dys = node.outputs.map(output => gradients.get(output.id) ?? null);
    for (const [x, dx] of stepBack(node, dys)) add(gradients, x, dx);
    // Whatever uses these outputs comes later on the tape: nothing is added to their gradients any more.
    for (const output of node.outputs) {
      gradients.get(output.id)?.dispose();
      gradients.delete(output.id);
    }
    for (const index of final?.get(node.id) ?? []) {
      take!(index, gradients.get(xs[index].id)!);
      gradients.delete(xs[index].id);
    }
    release(node);
    yield;
  }
  const wanted = xs.map(x => gradients.get(x.id));
  const handedOut = new Set(wanted);
  for (const gradient of gradients.values()) if (!handedOut.has(gradient)) gradient.dispose();
  return wanted;
}

/** Places of the xs by the first operation on the path that reads them, which is the last that adds to their gradients. */
function firstUses(path: TapeNode[], xs: Tensor[]): Map<number, number[]> {
  const waiting = new Map(xs.map((x, index) => [x.id, index]));
  return new Map(
    path.map(({ id, inputs }) => {
      const found = [...new Set(Object.values(inputs).map(input => input.id))].filter(x => waiting.has(x));
      const places = found.map(x => waiting.get(x)!);
      for (const x of found) waiting.delete(x);
      return [id, places];
    }),
  );
}

/** Gradients of one operation's inputs, as tensors of their own. */
function stepBack(node: TapeNode, dys: (Tensor | null)[]): [x: Tensor, dx: Tensor][] {
  const { gradient, kernelName, inputs } = node;
  if (!gradient) throw new Error(`${kernelName} has no gradient`);
  const found = tf.tidy(() => {
    const taken = new Set([...dys, ...(node.saved ?? [])].map(tensor => tensor?.id));
    const rules = gradient(dys);
    return Object.keys(inputs).map(name => {
      const dx = rules[name]();
      // A rule may hand on what it was given or had saved, or one tensor for two inputs.
      const own = taken.has(dx.id) ? dx.clone() : dx;
      taken.add(own.id);
      return own;
    });
  });
  return Object.values(inputs).map((x, i) => {
    if (!tf.util.arraysEqual(found[i].shape, x.shape))
      throw new Error(`${kernelName}: gradient [${found[i].shape.join(', ')}] for an input [${x.shape.join(', ')}]`);
    return [x, found[i]];
  });
}

function add(gradients: Map<number, Tensor>, x: Tensor, dx: Tensor): void {
  const before = gradients.get(x.id);
  gradients.set(x.id, before ? before.add(dx) : dx);
  if (before) {
    before.dispose();
    dx.dispose();
  }
}
