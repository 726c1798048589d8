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
  /** One per x; undefined where y does not depend on it. */
  gradients: (Tensor | undefined)[];
}

/**
 * y = f() and the gradients of ⟨dy, y⟩ with respect to `xs` (dy default: ones). TensorFlow.js's own `grads` keeps every
 * saved activation and every intermediate gradient until the end; here each is freed as soon as the walk is past it,
 * which roughly halves the peak. The caller owns the results; tensors that `f` wants to hand out besides y must be
 * kept by it. Both directions may be used again within: in `f` (there by TensorFlow.js's own means) and in a custom
 * gradient.
 */
export function valueAndGradients<T extends Tensor>(f: () => T, xs: Tensor[], dy?: Tensor): ValueAndGradients<T> {
  if (recorder().state.gradientDepth > 0) {
    const { value, grads } = tf.engine().gradients(f, xs, dy, true) as { value: T; grads: (Tensor | undefined)[] };
    return { value, gradients: grads };
  }
  const { value, tape } = record(f);
  try {
    const path = pathFrom(xs, value, tape);
    const onPath = new Set(path.map(node => node.id));
    for (const node of tape) if (!onPath.has(node.id)) release(node);
    return { value, gradients: walkBack(path, value, xs, dy) };
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

function walkBack(path: TapeNode[], y: Tensor, xs: Tensor[], dy: Tensor | undefined): (Tensor | undefined)[] {
  const gradients = new Map<number, Tensor>([[y.id, dy ? dy.clone() : tf.onesLike(y)]]);
  for (const node of [...path].reverse()) {
    const dys = node.outputs.map(output => gradients.get(output.id) ?? null);
    for (const [x, dx] of stepBack(node, dys)) add(gradients, x, dx);
    // Whatever uses these outputs comes later on the tape: nothing is added to their gradients any more.
    for (const output of node.outputs) {
      gradients.get(output.id)?.dispose();
      gradients.delete(output.id);
    }
    release(node);
  }
  const wanted = xs.map(x => gradients.get(x.id));
  const handedOut = new Set(wanted);
  for (const gradient of gradients.values()) if (!handedOut.has(gradient)) gradient.dispose();
  return wanted;
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
