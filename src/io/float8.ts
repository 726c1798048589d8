import type { Float8 } from './names.js';

interface Layout {
  exponentBits: number;
  bias: number;
  /** What the format has besides finite numbers: IEEE's infinities and NaNs, one NaN per sign, or one in place of −0. */
  special: 'ieee' | 'nan' | 'negative zero';
}

/** Micikevicius et al. 2022 (arXiv:2209.05433) for e4m3fn and e5m2, Noune et al. 2022 (arXiv:2206.02915) for fnuz. */
const LAYOUTS: Record<Exclude<Float8, 'float8_e8m0fnu'>, Layout> = {
  float8_e4m3fn: { exponentBits: 4, bias: 7, special: 'nan' },
  float8_e5m2: { exponentBits: 5, bias: 15, special: 'ieee' },
  float8_e4m3fnuz: { exponentBits: 4, bias: 8, special: 'negative zero' },
  float8_e5m2fnuz: { exponentBits: 5, bias: 16, special: 'negative zero' },
};

const tables = new Map<Float8, Float32Array>();

/** One byte a number → the same numbers as float32, exactly. */
export function float32FromFloat8(raw: Uint8Array, format: Float8): Float32Array {
  const values = tables.get(format) ?? Float32Array.from({ length: 256 }, (_, code) => valueOf(code, format));
  tables.set(format, values);
  return Float32Array.from(raw, code => values[code]);
}

function valueOf(code: number, format: Float8): number {
  // Microscaling's scales: an exponent and nothing else.
  if (format === 'float8_e8m0fnu') return code === 255 ? NaN : 2 ** (code - 127);
  const { exponentBits, bias, special } = LAYOUTS[format];
  const fractionBits = 7 - exponentBits;
  const fraction = code & (2 ** fractionBits - 1);
  const exponent = (code & 127) >> fractionBits;
  const sign = code & 128 ? -1 : 1;
  if (special === 'negative zero' && code === 128) return NaN;
  if (special === 'nan' && (code & 127) === 127) return NaN;
  if (special === 'ieee' && exponent === 2 ** exponentBits - 1) return fraction === 0 ? sign * Infinity : NaN;
  const unit = 2 ** (Math.max(exponent, 1) - bias - fractionBits);
  return sign * (exponent === 0 ? fraction : fraction + 2 ** fractionBits) * unit;
}
