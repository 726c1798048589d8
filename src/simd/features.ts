import { setFlagsFromString } from 'node:v8';

const ZERO = [0x43, 0, 0, 0, 0, 0xfd, 0x13];
/** A module whose only function is f32x4.relaxed_madd of three constants. */
const PROBE = Uint8Array.from([
  ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  ...[1, 5, 1, 0x60, 0, 1, 0x7b],
  ...[3, 2, 1, 0],
  ...[10, 28, 1, 26, 0, ...ZERO, ...ZERO, ...ZERO, 0xfd, 0x85, 0x02, 0x0b],
]);

let fused: boolean | undefined;

/**
 * Whether this JavaScript engine has multiply-and-add with one rounding (relaxed SIMD). Node 20 has it behind a flag
 * that may be set while it runs, before the first module is compiled.
 */
export function fusedMultiplyAdd(): boolean {
  if (fused === undefined) {
    fused = WebAssembly.validate(PROBE);
    if (!fused) {
      setFlagsFromString('--experimental-wasm-relaxed-simd');
      fused = WebAssembly.validate(PROBE);
    }
  }
  return fused;
}
