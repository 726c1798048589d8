import { UserError } from '../base/index.js';
import { elementCount, encode, type DType, type NdArray, type TypedArray } from './array.js';

/** The smallest magnitudes that round to infinity. */
const OVERFLOWS: Partial<Record<DType, number>> = { float16: 65520, bfloat16: 2 ** 128 - 2 ** 119 };

/** Bytes as they lie on disk, having checked that the shape counts the numbers and that none becomes infinite. */
export function encodeChecked(where: string, array: NdArray): Uint8Array {
  const { shape, dtype, data } = array;
  if (elementCount(shape) !== data.length)
    throw new Error(`${where}: shape [${shape.join(', ')}] does not count ${data.length} numbers`);
  refuseOverflow(where, dtype, data);
  return encode(array);
}

/** A finite number that a narrower type can only hold as infinity would poison whatever reads the file. */
function refuseOverflow(where: string, dtype: DType, data: TypedArray): void {
  const limit = OVERFLOWS[dtype];
  if (limit === undefined || data instanceof Uint16Array) return;
  for (let i = 0; i < data.length; i++) {
    const value = Number(data[i]);
    if (Math.abs(value) >= limit && Number.isFinite(value))
      throw new UserError(`${where}: ${value} at ${i} is too large for ${dtype}; store it as float32`);
  }
}
