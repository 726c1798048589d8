import { tf, type Tensor, type Tensor4D } from '../../engine/index.js';

/** Sobel's gradients of every pixel and channel, edges mirrored: x [n, h, w, c] → leftwards and upwards, same shape. */
export function sobel(x: Tensor4D): { gx: Tensor4D; gy: Tensor4D } {
  const [n, h, w, c] = x.shape;
  const around: [number, number][] = [
    [0, 0],
    [1, 1],
    [1, 1],
    [0, 0],
  ];
  const padded = tf.mirrorPad(x, around, 'reflect');
  const at = (row: number, column: number): Tensor4D => tf.slice(padded, [0, row, column, 0], [n, h, w, c]);
  const smooth = (a: Tensor, b: Tensor, last: Tensor): Tensor4D => a.add<Tensor>(last).add(b.mul(2));
  return {
    gx: smooth(at(0, 0), at(1, 0), at(2, 0)).sub(smooth(at(0, 2), at(1, 2), at(2, 2))),
    gy: smooth(at(0, 0), at(0, 1), at(0, 2)).sub(smooth(at(2, 0), at(2, 1), at(2, 2))),
  };
}
