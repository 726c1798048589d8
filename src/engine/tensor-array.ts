/** Where TensorFlow takes numbers without a copy: at addresses of whole 64 bytes. */
const ALIGNMENT = 64;
/** How far behind such an address memory begins that an allocator has mapped for one array: its own header (glibc's). */
const HEADER = 16;

/**
 * Zeros to be filled and made a tensor of. The native engine shares their memory with it, where arrays of many numbers begin as glibc's
 * do; elsewhere, and of all other arrays, it makes a copy.
 */
export function tensorArray(length: number): Float32Array<ArrayBuffer> {
  const offset = ALIGNMENT - HEADER;
  return new Float32Array(new ArrayBuffer(offset + length * Float32Array.BYTES_PER_ELEMENT), offset, length);
}
