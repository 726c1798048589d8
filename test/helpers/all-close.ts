export interface Tolerance {
  /** Relative to the largest magnitude in `expected`. */
  rtol?: number;
  atol?: number;
}

declare module 'expect' {
  interface Matchers<R> {
    toBeAllClose(expected: ArrayLike<number>, tolerance?: Tolerance): R;
  }
}

/** Element-wise closeness of two flat arrays; the message says where and by how much they part. */
export function toBeAllClose(
  received: unknown,
  expected: ArrayLike<number>,
  { rtol = 1e-5, atol = 1e-8 }: Tolerance = {},
) {
  const actual = received as ArrayLike<number>;
  if (actual.length !== expected.length) {
    return { pass: false, message: () => `lengths differ: ${actual.length} against ${expected.length}` };
  }
  let scale = 0;
  for (let i = 0; i < expected.length; i++) scale = Math.max(scale, Math.abs(expected[i]));
  let worst = 0;
  let at = -1;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(actual[i] - expected[i]);
    if (Number.isNaN(difference) || difference > worst) {
      worst = difference;
      at = i;
      if (Number.isNaN(difference)) break;
    }
  }
  const limit = atol + rtol * scale;
  const pass = at < 0 || worst <= limit;
  return {
    pass,
    message: () =>
      pass
        ? `expected arrays to differ by more than ${limit}`
        : `largest difference ${worst} at ${at} (${actual[at]} against ${expected[at]}), allowed ${limit}`,
  };
}
