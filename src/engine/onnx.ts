import { messageOf, UserError } from '../base/index.js';
import { tf, type Tensor } from './tf.js';

/** A network in ONNX, run by onnxruntime beside TensorFlow.js: other people's encoders, teachers and metrics. */
export interface OnnxNetwork {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** float32 tensors by input name → float32 tensors by output name. */
  run(feeds: Record<string, Tensor>): Promise<Record<string, Tensor>>;
  close(): Promise<void>;
}

/** Opens a `.onnx` file. @throws UserError where onnxruntime-node is not installed or the file is no network. */
export async function openOnnx(path: string): Promise<OnnxNetwork> {
  const { InferenceSession, Tensor: OnnxTensor } = await runtime(path);
  const session = await InferenceSession.create(path, { logSeverityLevel: 3 }).catch((error: unknown) => {
    throw new UserError(`${path}: cannot be loaded as an ONNX network: ${messageOf(error).split('\n')[0]}`);
  });
  return {
    inputs: session.inputNames,
    outputs: session.outputNames,
    run: async feeds => {
      const values = await Promise.all(
        Object.entries(feeds).map(
          async ([name, x]) => [name, new OnnxTensor('float32', (await x.data()) as Float32Array, x.shape)] as const,
        ),
      );
      const results = await session.run(Object.fromEntries(values)).catch((error: unknown) => {
        throw new UserError(`${path}: the network failed: ${messageOf(error).split('\n')[0]}`);
      });
      return Object.fromEntries(
        Object.entries(results).map(([name, { data, dims, type }]) => {
          if (type !== 'float32') throw new UserError(`${path}: output '${name}' is ${type}; export it as float32`);
          return [name, tf.tensor(data as Float32Array, [...dims], 'float32')];
        }),
      );
    },
    close: () => session.release(),
  };
}

/** npm drops an optional dependency without a word, so its absence is found here. */
async function runtime(path: string): Promise<typeof import('onnxruntime-node')> {
  try {
    return await import('onnxruntime-node');
  } catch (error) {
    throw new UserError(
      `${path}: ONNX networks need the optional package onnxruntime-node (npm install onnxruntime-node): ${messageOf(error).split('\n')[0]}`,
    );
  }
}
