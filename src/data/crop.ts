import type { RawImage } from '../io/index.js';
import { halvedTo, resize, type Window } from './resample.js';

/**
 * ADM's centre crop, which every paper compared here evaluates on: halve with the box filter while the shorter side is
 * at least twice the target, bicubic until the shorter side is `size`, crop the middle. Equal to the published code
 * on Pillow to the last bit.
 */
export function centreCrop(image: RawImage, size: number): RawImage {
  const { halved, width, height } = shorterSideTo(image, size);
  const left = Math.floor((width - size) / 2);
  const top = Math.floor((height - size) / 2);
  return window(halved, width, height, { left, top, width: size, height: size });
}

/** The longest shorter side of the random crop, as a share of the target. */
const LARGEST = 1.25;

/**
 * The random crop of MAETok's and ADM's training: the shorter side resized to a random whole length in
 * [size, 1.25 size], then a random square of `size`. Three uniform numbers decide.
 */
export function randomCrop(image: RawImage, size: number, [a, b, c]: Float32Array): RawImage {
  const longest = Math.ceil(size * LARGEST);
  const side = size + Math.floor(a * (longest - size + 1));
  const { halved, width, height } = shorterSideTo(image, side);
  const top = Math.floor(b * (height - size + 1));
  const left = Math.floor(c * (width - size + 1));
  return window(halved, width, height, { left, top, width: size, height: size });
}

/** Mirrors an image left to right, in place. */
function flip({ width, height, data }: RawImage): void {
  for (let y = 0; y < height; y++) {
    let left = y * width * 3;
    let right = left + (width - 1) * 3;
    for (; left < right; left += 3, right -= 3) {
      for (let c = 0; c < 3; c++) {
        const swap = data[left + c];
        data[left + c] = data[right + c];
        data[right + c] = swap;
      }
    }
  }
}

/** How one image becomes a square of `size`. */
export interface CropOptions {
  size: number;
  crop: 'center' | 'random';
  /** Mirror every second image, drawn at random. */
  flip: boolean;
}

/** Uniform numbers that one image's crop and mirroring take. */
export const DRAWS = 4;

/** The square of one image, in its own memory. */
export function squareOf(image: RawImage, { size, crop, flip: mayFlip }: CropOptions, draws: Float32Array): Uint8Array {
  const square = crop === 'random' ? randomCrop(image, size, draws) : centreCrop(image, size);
  const copy = square.data === image.data ? { ...square, data: square.data.slice() } : square;
  if (mayFlip && draws[DRAWS - 1] < 0.5) flip(copy);
  return copy.data;
}

function shorterSideTo(image: RawImage, side: number): { halved: RawImage; width: number; height: number } {
  const halved = halvedTo(image, side);
  const scale = side / Math.min(halved.width, halved.height);
  return { halved, width: roundEven(halved.width * scale), height: roundEven(halved.height * scale) };
}

function window(image: RawImage, width: number, height: number, part: Window): RawImage {
  return resize(image, width, height, 'bicubic', part);
}

/** Python's `round`: halves go to the even neighbour. */
function roundEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}
