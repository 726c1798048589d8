import { tf, valueAndGradients, type Scalar } from '../../engine/index.js';
import { adamw, movingAverage, type Params } from '../../nn/index.js';
import { isTable } from '../../diffusion/shapes.js';
import { arrayOf, type Results } from './case.js';

/** A scalar and its gradients in all parameters that train, by name. */
export function gradients(params: Params, loss: () => Scalar): { value: Scalar; grads: Params } {
  const names = Object.keys(params).filter(name => !isTable(name));
  const found = valueAndGradients(
    loss,
    names.map(name => params[name]),
  );
  const grads = Object.fromEntries(
    names.flatMap((name, i) => (found.gradients[i] ? [[name, found.gradients[i]]] : [])),
  );
  return { value: found.value, grads };
}

/**
 * One training step as MAETok's authors take it: gradient norms in the recorded order, clipping at a global norm of 1,
 * AdamW (1e-4, no decay) and the moving average (0.9999) after it.
 */
export function trainingStep(params: Params, grads: Params, order: string[]): Results {
  const norms = tf.tidy(() => order.map(name => grads[name].norm().dataSync()[0]));
  const total = Math.hypot(...norms);
  const trained = Object.fromEntries(Object.keys(grads).map(name => [name, params[name]]));
  const optimizer = adamw(trained, { weightDecay: 0 });
  const average = movingAverage(trained, 0.9999);
  tf.tidy(() => optimizer.step(grads, { lr: 1e-4, factor: tf.scalar(Math.min(1, 1 / (total + 1e-6))) }));
  const after = optimizer.read();
  tf.tidy(() => average.update(after));
  const averaged = average.read();
  const results: Results = { 'out.grad_norms': arrayOf(norms), 'out.grad_total_norm': arrayOf([total]) };
  for (const name of Object.keys(grads)) {
    results[`out.grad.${name}`] = grads[name];
    results[`out.after_adamw.${name}`] = after[name];
    results[`out.after_ema.${name}`] = averaged[name];
  }
  optimizer.dispose();
  average.dispose();
  return results;
}
