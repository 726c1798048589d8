import type { Tensor } from '../engine/index.js';
const EPS = 1e-12;

/**
 * x / max(‖x‖, ε) along the last axis, as PyTorch normalises. The least is taken of squares: the gradient of a root is
 * infinite at 0, and for a vector of zeros it would be NaN.
 */
export const unit = (x: Tensor): Tensor =>
  x.div(
    x
      .square()
      .sum(-1, true)
      .maximum(EPS ** 2)
      .sqrt(),
  );
