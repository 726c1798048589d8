import { tf, type Tensor, type Tensor4D } from '../engine/index.js';
import { conv2d, under, type Params, type Shapes } from '../nn/index.js';

/*
 * The 13 convolutions of VGG16 (Simonyan & Zisserman 2015, configuration D) in the five slices that LPIPS taps, under
 * LPIPS's names `net.sliceK.N`, N being the layer's place in torchvision's `features`.
 */

/** Places of each slice's convolutions; a 2×2 max pool stands before every slice but the first. */
const SLICES: readonly (readonly number[])[] = [
  [0, 2],
  [5, 7],
  [10, 12, 14],
  [17, 19, 21],
  [24, 26, 28],
];

/** Channels of each slice. */
export const VGG_WIDTHS = [64, 128, 256, 512, 512] as const;

/** x [n, h, w, 3] → the activations relu1_2, relu2_2, relu3_3, relu4_3 and relu5_3. Differentiable in x. */
export function vgg16Slices(params: Params, x: Tensor4D): Tensor4D[] {
  const taps: Tensor4D[] = [];
  let y: Tensor = x;
  SLICES.forEach((places, slice) => {
    if (slice > 0) y = halved(y);
    for (const place of places) y = tf.relu(conv2d(under(params, `net.slice${slice + 1}.${place}`), y));
    taps.push(y as Tensor4D);
  });
  return taps;
}

/** 2×2 max pool by reshaping, because no engine but the native one has a gradient for pooling. An odd edge is left out. */
function halved(x: Tensor): Tensor {
  const [n, h, w, c] = x.shape as [number, number, number, number];
  const [rows, columns] = [Math.floor(h / 2), Math.floor(w / 2)];
  const even = h % 2 === 0 && w % 2 === 0 ? x : tf.slice(x, [0, 0, 0, 0], [n, 2 * rows, 2 * columns, c]);
  return even
    .reshape([n * rows, 2, columns, 2, c])
    .max([1, 3])
    .reshape([n, rows, columns, c]);
}

/** Every key and shape. */
export function vgg16Shapes(): Shapes {
  const shapes: Shapes = {};
  let inputs = 3;
  SLICES.forEach((places, slice) => {
    for (const place of places) {
      const out = VGG_WIDTHS[slice];
      shapes[`net.slice${slice + 1}.${place}.weight`] = [out, inputs, 3, 3];
      shapes[`net.slice${slice + 1}.${place}.bias`] = [out];
      inputs = out;
    }
  });
  return shapes;
}

/** torchvision's `features.N.…` as LPIPS calls it; undefined for a key of another network. */
export function fromTorchvision(key: string): string | undefined {
  const [, place, part] = /^features\.(\d+)\.(weight|bias)$/.exec(key) ?? [];
  const slice = SLICES.findIndex(places => places.includes(Number(place)));
  return slice < 0 ? undefined : `net.slice${slice + 1}.${place}.${part}`;
}
