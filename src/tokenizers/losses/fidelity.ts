import { tf, valueAndGradients, type Scalar, type Tensor, type Tensor4D } from '../../engine/index.js';
import { differentiable } from '../../nn/index.js';
import { adaptiveWeight, rampUp } from './adversarial.js';

/** The losses between a reconstruction and its original. */
export interface PixelLoss {
  /** Weights of the squared and of the absolute error. */
  l2: number;
  l1: number;
  perceptual?:
    | {
        distance(reconstruction: Tensor4D, image: Tensor4D): Scalar;
        weight: number;
        /** Steps over which the weight grows from 0. */
        ramp: number;
      }
    | undefined;
}

/** A discriminator that a reconstruction has to pass. */
export interface Adversary {
  /** What the tokenizer minimises of the reconstructions' logits. */
  loss(reconstruction: Tensor4D): Scalar;
  weight: number;
  /** Scale the weight so that both losses move the decoder's last layer alike. */
  adaptive: boolean;
}

interface Judged {
  loss: Scalar;
  metrics: Record<string, Scalar>;
}

interface Reconstruction {
  output: Tensor4D;
  images: Tensor4D;
  step: number;
  adversary?: Adversary | undefined;
}

/**
 * Pixel, perceptual and adversarial loss of a reconstruction; the last is balanced by the gradients at `last`, the
 * weight of the decoder's last layer.
 */
export function judgeReconstruction(
  pixels: PixelLoss,
  last: Tensor,
  { output, images, step, adversary }: Reconstruction,
): Judged {
  const rebuild = (): Judged => fidelity(pixels, output, images, step);
  if (!adversary) return rebuild();
  const rec = slopes(rebuild, output, last);
  const adv = slopes(() => ({ loss: adversary.loss(output), metrics: {} }), output, last);
  const balance = adversary.adaptive ? adaptiveWeight(rec.atLast, adv.atLast) : tf.scalar(1);
  const weight = balance.mul<Scalar>(adversary.weight);
  return {
    loss: withSlope(output, rec.value.add(adv.value.mul(weight)), rec.slope.add(adv.slope.mul(weight))),
    metrics: { ...rec.metrics, adversarial: adv.value, adversarial_weight: weight },
  };
}

function fidelity({ l2, l1, perceptual }: PixelLoss, output: Tensor4D, images: Tensor4D, step: number): Judged {
  const error = output.sub(images);
  const metrics: Record<string, Scalar> = { mse: error.square().mean() };
  const terms: Tensor[] = [metrics.mse.mul(l2)];
  const add = (name: string, value: Scalar, weight: number): void => {
    metrics[name] = value;
    terms.push(value.mul(weight));
  };
  if (l1 > 0) add('mae', error.abs().mean(), l1);
  if (perceptual)
    add('perceptual', perceptual.distance(output, images), perceptual.weight * rampUp(step, perceptual.ramp));
  return { loss: tf.addN(terms) as Scalar, metrics };
}

interface Slopes {
  value: Scalar;
  metrics: Record<string, Scalar>;
  /** Gradient with respect to the reconstruction. */
  slope: Tensor;
  /** Gradients with respect to the last layer's weights. */
  atLast: Tensor;
}

/** A loss with its gradients, computed now: the balance of two losses is made of both. */
function slopes(loss: () => Judged, output: Tensor4D, last: Tensor): Slopes {
  let kept: Record<string, Scalar> = {};
  const { value, gradients } = valueAndGradients(() => {
    const { loss: total, metrics } = loss();
    // The inner tape's scope ends before the metrics are read.
    kept = mapValues(metrics, metric => tf.keep(metric.clone()));
    return total;
  }, [output, last]);
  const metrics = mapValues(kept, metric => metric.clone());
  tf.dispose(kept);
  return {
    value,
    metrics,
    slope: gradients[0] ?? tf.zerosLike(output),
    atLast: gradients[1] ?? tf.zerosLike(last),
  };
}

/** `value` as a function of x whose gradient is known already, so that no loss is walked through twice. */
const withSlope = (x: Tensor, value: Tensor, slope: Tensor): Scalar =>
  differentiable(
    () => [value.clone(), slope],
    (dy, known) => [known.mul(dy)],
  )(x) as Scalar;

const mapValues = (record: Record<string, Scalar>, f: (value: Scalar) => Scalar): Record<string, Scalar> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, f(value)]));
