import { tf, type Tensor } from './tf.js';

/** TensorFlow.js 4.22 gives −1 as the slope of |x| at 0, where it is 0 by symmetry, as in PyTorch. */
export function fixGradients(): void {
  tf.unregisterGradient('Abs');
  tf.registerGradient({
    kernelName: 'Abs',
    inputsToSave: ['x'],
    gradFunc: (dy, [x]) => ({ x: () => (dy as Tensor).mul(tf.sign(x)) }),
  });
}
