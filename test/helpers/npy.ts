import { encode, type NdArray } from '../../src/io/array.js';
import { npyHeader } from '../../src/io/npy-header.js';

/** The bytes of a .npy file. */
export const encodeNpy = (array: NdArray): Buffer =>
  Buffer.concat([npyHeader(array.shape, array.dtype), encode(array)]);
