import { messageOf, UserError } from '../base/index.js';
import { tf, type Tensor } from './tf.js';

/** A network in ONNX, run by onnxruntime beside TensorFlow.js: other people's encoders, teachers and metrics. */
export interface OnnxNetwork {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /**
   * A float32 tensor for the first input → the float32 tensors of `wanted` outputs, which the caller owns. The first
   * axis of each counts images; a network made for a fixed number is run as often as it takes, the last time filled
   * up with copies of the last image.
   */
  run(x: Tensor, wanted: readonly string[]): Promise<Record<string, Tensor>>;
  close(): Promise<void>;
}

type Session = import('onnxruntime-node').InferenceSession;

/**
 * Opens a `.onnx` file; `batch`: images per call, where the file does not say it.
 * @throws UserError where onnxruntime-node is not installed, the file is not a network or declares another batch size
 */
export async function openOnnx(path: string, batch?: number): Promise<OnnxNetwork> {
  const { InferenceSession, Tensor: OnnxTensor } = await runtime(path);
  const session = await InferenceSession.create(path, { logSeverityLevel: 3 }).catch((error: unknown) => {
    throw new UserError(`${path}: cannot be loaded as an ONNX network: ${messageOf(error).split('\n')[0]}`);
  });
  const shape = inputShape(session);
  const fixed = typeof shape[0] === 'number' ? shape[0] : undefined;
  if (fixed !== undefined && batch !== undefined && batch !== fixed)
    throw new UserError(`${path}: was exported for batches of ${fixed}, not ${batch}; leave batch out of its YAML`);
  const size = fixed ?? batch;
  const call = async (x: Tensor, wanted: readonly string[]): Promise<Tensor[]> => {
    const feed = new OnnxTensor('float32', (await x.data()) as Float32Array, x.shape);
    const results = await session.run({ [session.inputNames[0]]: feed }, [...wanted]).catch((error: unknown) => {
      throw new UserError(`${path}: the network failed: ${messageOf(error).split('\n')[0]}`);
    });
    return wanted.map(name => {
      const { data, dims, type } = results[name];
      if (type !== 'float32') throw new UserError(`${path}: output '${name}' is ${type}; export it as float32`);
      if (dims[0] !== x.shape[0])
        throw new UserError(
          `${path}: output '${name}' of ${x.shape[0]} images is [${dims.join(', ')}]; its first axis must have that length`,
        );
      return tf.tensor(data as Float32Array, [...dims], 'float32');
    });
  };
  return {
    inputs: session.inputNames,
    outputs: session.outputNames,
    run: async (x, wanted) => {
      requireSides(path, session.inputNames[0], shape, x.shape);
      const rows = x.shape[0];
      const parts: Tensor[][] = [];
      for (let from = 0; from < rows; from += size ?? rows) {
        const part = filledUp(x, from, Math.min(rows, from + (size ?? rows)), size);
        try {
          parts.push(await call(part, wanted));
        } finally {
          part.dispose();
        }
      }
      const joined = wanted.map(
        (name, i) =>
          [
            name,
            joinedRows(
              parts.map(part => part[i]),
              rows,
            ),
          ] as const,
      );
      return Object.fromEntries(joined);
    },
    close: () => session.release(),
  };
}

/** Sides as the network names them: numbers where they are fixed. */
function inputShape(session: Session): readonly (number | string)[] {
  const [first] = session.inputMetadata;
  return first.isTensor ? first.shape : [];
}

function requireSides(path: string, name: string, shape: readonly (number | string)[], given: number[]): void {
  const fits = shape.every((side, axis) => axis === 0 || typeof side === 'string' || side === given[axis]);
  if (shape.length === 0 || (fits && shape.length === given.length)) return;
  throw new UserError(
    `${path}: input '${name}' is [${shape.join(', ')}], not [${['n', ...given.slice(1)].join(', ')}]; its YAML must give the size and layout of its input`,
  );
}

/** Rows `from` to `to`, the last repeated to make `size`. */
function filledUp(x: Tensor, from: number, to: number, size = to - from): Tensor {
  return tf.tidy(() => {
    const part = tf.slice(x, from, to - from);
    const missing = size - part.shape[0];
    if (missing === 0) return part;
    const last = tf.slice(x, to - 1, 1);
    return tf.concat([part, tf.tile(last, [missing, ...last.shape.slice(1).map(() => 1)])]);
  });
}

/** The first `rows` rows of all parts, which are freed. */
function joinedRows(parts: Tensor[], rows: number): Tensor {
  const joined = tf.tidy(() => tf.slice(parts.length === 1 ? parts[0] : tf.concat(parts), 0, rows));
  tf.dispose(parts);
  return joined;
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
