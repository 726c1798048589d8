/** Octaves of the squared distance that are tabulated, 2^-24 to 2^20, each in 2^STEP_BITS steps. */
const FIRST_OCTAVE = -24;
const LAST_OCTAVE = 20;
const STEP_BITS = 7;

/** Number of the table's step that a float's upper bits name. */
const stepOf = (bits: number): number => bits >> (23 - STEP_BITS);
const bitsOf = (octave: number): number => (octave + 127) << 23;

/**
 * A smooth function of squared distances by linear interpolation, to about 1e-5 of its value. A layout evaluates powers of
 * its distances some hundred million times, which this makes several times faster; the bits of a float name its octave and
 * its place within, so that a look-up needs no logarithm.
 */
export function tabulated(f: (square: number) => number): (square: number) => number {
  const first = stepOf(bitsOf(FIRST_OCTAVE));
  const count = stepOf(bitsOf(LAST_OCTAVE)) - first;
  const float = new Float32Array(1);
  const bits = new Int32Array(float.buffer);
  const values = Float64Array.from({ length: count + 1 }, (_, step) => {
    bits[0] = (first + step) << (23 - STEP_BITS);
    return f(float[0]);
  });
  const mask = (1 << (23 - STEP_BITS)) - 1;
  const scale = 1 / (mask + 1);
  return square => {
    float[0] = square;
    const word = bits[0];
    const step = (word >> (23 - STEP_BITS)) - first;
    if (step < 0 || step >= count) return f(square);
    const low = values[step];
    return low + (word & mask) * scale * (values[step + 1] - low);
  };
}
