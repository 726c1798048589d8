import { inPlace } from './in-place.js';
import { freeHandle, nativeBackend, onNative, type OpAttributes } from './native.js';
import { tf, type Tensor } from './tf.js';
/*
 * Numbers that a training run changes at every step: in place, by our own kernels or, where TensorFlow has none of them,
 * by its optimizer kernels on resource variables; on the other engines a new tensor takes the old one's place.
 */

export interface Variable {
  /** The numbers now. On the native engine it shares the variable's memory: alive at the next change, it costs a copy. */
  read(): Tensor;
  assign(value: Tensor): void;
  dispose(): void;
}

/** A variable with a copy of `initial`. */
export function variable(initial: Tensor): Variable {
  // A copy: the tensor may share the memory of a JavaScript array, which must not change under its owner.
  const own = initial.mul<Tensor>(1);
  const made = inPlace()
    ? new OwnedVariable(own)
    : nativeBackend()
      ? new ResourceVariable(own)
      : new TensorVariable(own);
  own.dispose();
  return made;
}

class TensorVariable implements Variable {
  protected value: Tensor;

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

/** A tensor that nothing else holds when it changes. */
export class OwnedVariable extends TensorVariable {
  override assign(value: Tensor): void {
    const copy = value.mul<Tensor>(1);
    super.assign(copy);
    copy.dispose();
  }

  /** The tensor itself, for a kernel to change. */
  own(): Tensor {
    if (inPlace()!.holders(this.value) > 1) this.assign(this.value);
    return this.value;
  }
}

/** By this name TensorFlow knows a variable that belongs to its handle alone and goes with it. */
const ANONYMOUS = 'cd2c89b7-88b7-44c8-ad83-06c2a9158347';

export class ResourceVariable implements Variable {
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
