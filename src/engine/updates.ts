import { inPlace } from './in-place.js';
import { nativeBackend, onNative, runOp, type OpAttributes } from './native.js';
import { tf, type Tensor } from './tf.js';
import { OwnedVariable, ResourceVariable, type Variable } from './variables.js';

/* How a training step changes variables. */

/** One parameter, its moments and its gradient in an Adam update. */
export interface AdamTerm {
  p: Variable;
  m: Variable;
  v: Variable;
  gradient: Tensor;
}

/** Scalars of an Adam update. */
export interface AdamScalars {
  beta1: Tensor;
  beta2: Tensor;
  /** The learning rate with both bias corrections: lr √(1 − β₂ᵗ) / (1 − β₁ᵗ). */
  size: Tensor;
  /** Added to the root of the uncorrected second moment: the paper's ε times √(1 − β₂ᵗ). */
  epsilonHat: Tensor;
  /** Multiplies every gradient; 0 gives 0 even for NaN and infinities. */
  factor: Tensor;
  /** What weight decay leaves of a parameter: 1 − lr λ; all of it by default. */
  kept?: Tensor;
}

/**
 * Updates parameters and their moments (Kingma & Ba 2015, the efficient order of section 2, with the decay of
 * Loshchilov & Hutter 2019): m ← m + (1 − β₁)(g − m), v ← v + (1 − β₂)(g² − v), p ← kept p − size · m / (√v + ε̂).
 */
export function applyAdam(terms: AdamTerm[], scalars: AdamScalars): void {
  tf.tidy(() => {
    const [p, m, v] = (['p', 'm', 'v'] as const).map(part => changeable(terms.map(term => term[part])));
    const engine = inPlace();
    if (engine && p && m && v) {
      const { beta1, beta2, size, epsilonHat, factor, kept = tf.scalar(1) } = scalars;
      const six = tf.stack([beta1, beta2, size, epsilonHat, factor, kept]);
      const gradients = terms.map(({ gradient }) => gradient);
      engine.adam(p, m, v, gradients, six);
    } else for (const term of terms) tf.tidy(() => applyOne(term, scalars));
  });
}

/** The tensors of variables that our kernels can change. */
function changeable(variables: Variable[]): Tensor[] | undefined {
  if (variables.length === 0 || !variables.every(variable => variable instanceof OwnedVariable)) return undefined;
  return variables.map(variable => variable.own());
}

function applyOne({ p, m, v, gradient }: AdamTerm, scalars: AdamScalars): void {
  const { beta1, beta2, size, epsilonHat, factor, kept } = scalars;
  const scaled = scaleOrZero(gradient, factor);
  if (kept) tf.tidy(() => p.assign(p.read().mul(kept)));
  if (p instanceof ResourceVariable && m instanceof ResourceVariable && v instanceof ResourceVariable) {
    // The kernel corrects the bias by powers of β in single precision; `size` holds it already, more exactly.
    const none = tf.scalar(0);
    change('ResourceApplyAdam', [p, m, v], [none, none, size, beta1, beta2, epsilonHat, scaled]);
    return;
  }
  const [m0, v0] = [m.read(), v.read()];
  const m1 = m0.add(scaled.sub(m0).mul(tf.sub(1, beta1)));
  const v1 = v0.add(scaled.square().sub(v0).mul(tf.sub(1, beta2)));
  p.assign(p.read().sub(m1.mul(size).div(v1.sqrt().add(epsilonHat))));
  m.assign(m1);
  v.assign(v1);
}

/** Runs one of TensorFlow's optimizer kernels, which change variables and give nothing. */
function change(kernel: string, variables: ResourceVariable[], tensors: Tensor[]): void {
  const ids = variables.map(({ id }) => id);
  onNative(scope => scope.op(kernel, [...ids, ...scope.ids(tensors)], FLOAT32, 0));
}

const FLOAT32: OpAttributes = { T: { type: 'float32' } };

/** One table of parameters, [..., c], its velocity and its gradient. */
export interface MomentumTerm {
  p: Variable;
  v: Variable;
  gradient: Tensor;
  /** Factors of the gradient's columns, [c]; default 1. */
  scale?: Tensor | undefined;
}

/** SGD with momentum as PyTorch has it, columns with rates of their own, [c]: v ← momentum v + scale ∘ g, p ← p − rate ∘ v. */
export function applyMomentum(terms: MomentumTerm[], rate: Tensor, momentum: number): void {
  for (const { p, v, gradient, scale } of terms)
    tf.tidy(() => {
      const own = changeable([p, v]);
      const engine = inPlace();
      if (engine && own) {
        engine.momentum(own[0], own[1], gradient, rate, scale ?? tf.onesLike(rate), momentum);
        return;
      }
      v.assign(
        v
          .read()
          .mul(momentum)
          .add(scale ? gradient.mul(scale) : gradient),
      );
      p.assign(p.read().sub(v.read().mul(rate)));
    });
}

/** x ← x + share (target − x) for each pair, `share` a scalar. */
export function moveTowards(pairs: [x: Variable, target: Tensor][], share: Tensor): void {
  const own = changeable(pairs.map(([x]) => x));
  const targets = pairs.map(([, target]) => target);
  const engine = inPlace();
  if (engine && own) engine.move(own, targets, share);
  else for (const [x, target] of pairs) moveOne(x, target, share);
}

function moveOne(x: Variable, target: Tensor, share: Tensor): void {
  const difference = tf.tidy(() => x.read().sub<Tensor>(target));
  if (x instanceof ResourceVariable) change('ResourceApplyGradientDescent', [x], [share, difference]);
  else tf.tidy(() => x.assign(x.read().sub(difference.mul(share))));
  difference.dispose();
}

/** x · factor, where a factor of 0 gives 0 even for NaN and infinities. `factor` is a scalar. */
function scaleOrZero(x: Tensor, factor: Tensor): Tensor {
  if (nativeBackend()) return runOp('MulNoNan', [x, factor], FLOAT32)[0];
  return tf.where(factor.equal(0), tf.zerosLike(x), x.mul(factor));
}

/** Σ x² over all entries of all tensors, a scalar. */
export function sumOfSquares(tensors: Tensor[]): Tensor {
  if (tensors.length === 0) return tf.scalar(0);
  const engine = inPlace();
  if (engine) return engine.squares(tensors);
  return tf.tidy(() =>
    tf.addN(tensors.map(x => (nativeBackend() ? runOp('L2Loss', [x], FLOAT32)[0].mul(2) : x.square().sum()))),
  );
}
