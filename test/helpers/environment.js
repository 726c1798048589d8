import { TestEnvironment } from 'jest-environment-node';

/**
 * jest gives each test file its own realm; the native binding returns typed arrays of the outer one, so
 * `instanceof Float32Array` inside TensorFlow.js would fail. Sharing the constructors fixes that.
 */
const SHARED = [
  'ArrayBuffer',
  'SharedArrayBuffer',
  'DataView',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int8Array',
  'Uint16Array',
  'Int16Array',
  'Uint32Array',
  'Int32Array',
  'Float16Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
  'Error',
];

export default class SharedRealmEnvironment extends TestEnvironment {
  async setup() {
    await super.setup();
    // Node has Float16Array since 24.
    for (const name of SHARED.filter(each => each in globalThis)) this.global[name] = globalThis[name];
  }
}
