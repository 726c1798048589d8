import { matMul } from './matmul.js';
import { tf, type Tensor } from './tf.js';

/**
 * Two-operand Einstein summation, e.g. `einsum('n q h d, n k h d -> n h q k', q, k)`: transposes, reshapes and one
 * batched matMul, hence differentiable and on every engine (TensorFlow.js's own has no gradient and no WASM kernel).
 * Axes are single words separated by spaces. An axis in one operand alone must be in the output.
 */
export function einsum(equation: string, a: Tensor, b: Tensor): Tensor {
  const [inputs, output] = equation.split('->').map(side => side.trim());
  const [axesA, axesB] = inputs.split(',').map(words);
  const axesOut = words(output);
  const size = sizes(equation, [axesA, axesB], [a, b]);

  const shared = axesA.filter(axis => axesB.includes(axis));
  const batch = shared.filter(axis => axesOut.includes(axis));
  const summed = shared.filter(axis => !axesOut.includes(axis));
  const onlyA = axesA.filter(axis => !axesB.includes(axis));
  const onlyB = axesB.filter(axis => !axesA.includes(axis));
  for (const axis of [...onlyA, ...onlyB]) {
    if (!axesOut.includes(axis)) throw new Error(`einsum '${equation}': axis ${axis} is in one operand only`);
  }

  const volume = (axes: string[]): number => axes.reduce((product, axis) => product * size(axis), 1);
  const left = arrange(a, axesA, [...batch, ...onlyA, ...summed]).reshape([
    volume(batch),
    volume(onlyA),
    volume(summed),
  ]);
  const right = arrange(b, axesB, [...batch, ...onlyB, ...summed]).reshape([
    volume(batch),
    volume(onlyB),
    volume(summed),
  ]);
  const product = matMul(left, right, { transposeB: true });
  const axes = [...batch, ...onlyA, ...onlyB];
  return arrange(product.reshape(axes.map(size)), axes, axesOut);
}

const words = (side: string): string[] => side.trim().split(/\s+/).filter(Boolean);

function sizes(equation: string, axes: string[][], operands: Tensor[]): (axis: string) => number {
  const known = new Map<string, number>();
  operands.forEach((operand, i) => {
    if (operand.rank !== axes[i].length) {
      throw new Error(`einsum '${equation}': operand ${i + 1} has shape [${operand.shape.join(', ')}]`);
    }
    axes[i].forEach((axis, j) => {
      const length = known.get(axis) ?? operand.shape[j];
      if (length !== operand.shape[j])
        throw new Error(`einsum '${equation}': axis ${axis} is ${length} and ${operand.shape[j]}`);
      known.set(axis, length);
    });
  });
  return axis => {
    const length = known.get(axis);
    if (length === undefined) throw new Error(`einsum '${equation}': axis ${axis} is in no operand`);
    return length;
  };
}

function arrange(x: Tensor, from: string[], to: string[]): Tensor {
  const order = to.map(axis => from.indexOf(axis));
  return order.every((axis, i) => axis === i) ? x : tf.transpose(x, order);
}
