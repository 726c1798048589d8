import { freeHandle, nativeBackend, onNative, runOp, type OpAttributes } from './native.js';
import { tf, type Tensor } from './tf.js';

/*
 * Numbers that a training run changes at every step. On the native engine they are TensorFlow's resource variables,
 * which its fused optimizer kernels change in place; on the others a new tensor takes the old one's place.
 */

export interface Variable {
  /** The numbers now. On the native engine it shares the variable's memory: dispose of it before the next change. */
  read(): Tensor;
  assign(value: Tensor): void;
  dispose(): void;
}

/** A variable with a copy of `initial`. */
export function variable(initial: Tensor): Variable {
  // A copy: the tensor may share the memory of a JavaScript array, which must not change under its owner.
  const own = initial.mul<Tensor>(1);
  const made = nativeBackend() ? new ResourceVariable(own) : new TensorVariable(own);
  own.dispose();
  return made;
}

class TensorVariable implements Variable {
  private value: Tensor;

  constructor(initial: Tensor) {
    this.value = tf.keep(initial.clone());
  }

  read(): Tensor {
    return this.value.clone();
  }

  assign(value: Tensor): void {
    const before = this.value;
    this.value = tf.keep(value.clone());
    before.dispose();
  }

  dispose(): void {
    this.value.dispose();
  }
}

/** By this name TensorFlow knows a variable that belongs to its handle alone and goes with it. */
const ANONYMOUS = 'cd2c89b7-88b7-44c8-ad83-06c2a9158347';

class ResourceVariable implements Variable {
  readonly id: number;

  constructor(initial: Tensor) {
    const attributes: OpAttributes = {
      dtype: { type: 'float32' },
      shape: { shape: initial.shape },
      shared_name: { string: ANONYMOUS },
    };
    this.id = onNative(scope => scope.keep(scope.op('VarHandleOp', [], attributes)[0]));
    this.assign(initial);
  }

  read(): Tensor {
    return onNative(scope => scope.tensor(scope.op('ReadVariableOp', [this.id], { dtype: { type: 'float32' } })[0]));
  }

  assign(value: Tensor): void {
    onNative(scope =>
      scope.op('AssignVariableOp', [this.id, ...scope.ids([value])], { dtype: { type: 'float32' } }, 0),
    );
  }

  dispose(): void {
    freeHandle(this.id);
  }
}

/** Runs one of TensorFlow's optimizer kernels, which change variables and give nothing. */
function change(kernel: string, variables: ResourceVariable[], tensors: Tensor[]): void {
  const ids = variables.map(({ id }) => id);
  onNative(scope => scope.op(kernel, [...ids, ...scope.ids(tensors)], FLOAT32, 0));
}

const FLOAT32: OpAttributes = { T: { type: 'float32' } };

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
}

/**
 * Updates a parameter and its moments (Kingma & Ba 2015, the efficient order of section 2):
 * m ← m + (1 − β₁)(g − m), v ← v + (1 − β₂)(g² − v), p ← p − size · m / (√v + ε̂).
 */
export function applyAdam({ p, m, v, gradient }: AdamTerm, { beta1, beta2, size, epsilonHat }: AdamScalars): void {
  tf.tidy(() => {
    if (p instanceof ResourceVariable && m instanceof ResourceVariable && v instanceof ResourceVariable) {
      // The kernel corrects the bias by powers of β in single precision; `size` holds it already, more exactly.
      const none = tf.scalar(0);
      change('ResourceApplyAdam', [p, m, v], [none, none, size, beta1, beta2, epsilonHat, gradient]);
      return;
    }
    const [m0, v0] = [m.read(), v.read()];
    const m1 = m0.add(gradient.sub(m0).mul(tf.sub(1, beta1)));
    const v1 = v0.add(gradient.square().sub(v0).mul(tf.sub(1, beta2)));
    p.assign(p.read().sub(m1.mul(size).div(v1.sqrt().add(epsilonHat))));
    m.assign(m1);
    v.assign(v1);
  });
}

/** x ← x + share (target − x), `share` a scalar. */
export function moveTowards(x: Variable, target: Tensor, share: Tensor): void {
  const difference = tf.tidy(() => x.read().sub<Tensor>(target));
  if (x instanceof ResourceVariable) change('ResourceApplyGradientDescent', [x], [share, difference]);
  else tf.tidy(() => x.assign(x.read().sub(difference.mul(share))));
  difference.dispose();
}

/** x · factor, where a factor of 0 gives 0 even for NaN and infinities. `factor` is a scalar. */
export function scaleOrZero(x: Tensor, factor: Tensor): Tensor {
  if (nativeBackend()) return runOp('MulNoNan', [x, factor], FLOAT32)[0];
  return tf.tidy(() => tf.where(factor.equal(0), tf.zerosLike(x), x.mul(factor)));
}

/** Σ x² over all entries, a scalar. */
export function sumOfSquares(x: Tensor): Tensor {
  return tf.tidy(() => (nativeBackend() ? runOp('L2Loss', [x], FLOAT32)[0].mul(2) : x.square().sum()));
}
