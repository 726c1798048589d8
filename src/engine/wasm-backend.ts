import type { TensorInfo } from '@tensorflow/tfjs';
import type { Backend } from './kernel-registry.js';
import { tf } from './tf.js';

/** The parts of TensorFlow.js's WebAssembly backend, and of its module, that are used here. */
export interface WasmBackend extends Backend {
  wasm: { asm: { memory: WebAssembly.Memory }; _malloc(bytes: number): number; _free(address: number): void };
  makeOutput(shape: number[], dtype: TensorInfo['dtype']): TensorInfo;
  incRef(dataId: object): void;
  dataIdMap: { get(dataId: object): { memoryOffset: number; refCount: number } };
}

/** The backend, where it is the one that runs. */
export const wasmBackend = (): WasmBackend | undefined =>
  tf.getBackend() === 'wasm' ? (tf.backend() as unknown as WasmBackend) : undefined;

/** Where in the backend's memory a tensor's numbers begin. */
export const addressIn = (backend: WasmBackend, { dataId }: Pick<TensorInfo, 'dataId'>): number =>
  backend.dataIdMap.get(dataId).memoryOffset;
