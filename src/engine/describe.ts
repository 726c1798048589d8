import { spawnSync } from 'node:child_process';
import { cpus, totalmem } from 'node:os';
import { hasKernels } from './compiled.js';
import { linearAlgebra } from './linalg/index.js';
import type { EngineKind } from './names.js';
import { nativeBackend } from './native.js';
import { startEngine } from './start.js';
import { tf } from './tf.js';

/** Describes the running engine, for run.json, protocol cards and `doctor`. */
export interface EngineDescription {
  engine: EngineKind;
  /** Library and version, e.g. `TensorFlow 2.21.0`. */
  version: string;
  /** The processor or GPU. */
  device: string;
  memoryBytes: number;
  /** The library that solves eigenvalue problems. */
  linearAlgebra: string;
  /** Whether layers run on our own kernels. */
  kernels: boolean;
}

/** Describes the running engine; starts it where none runs. */
export async function describeEngine(): Promise<EngineDescription> {
  const engine = await startEngine();
  const binding = nativeBackend()?.binding;
  const gpu = binding?.isUsingGpuDevice() === true ? queryGpu() : undefined;
  return {
    engine,
    version: binding ? `TensorFlow ${binding.TF_Version}` : `TensorFlow.js ${tf.version_core}`,
    device: gpu?.name ?? `${cpus()[0]?.model.trim() ?? process.arch} × ${cpus().length}`,
    memoryBytes: gpu?.memoryBytes ?? totalmem(),
    linearAlgebra: linearAlgebra().name,
    kernels: hasKernels(),
  };
}

export interface Gpu {
  name: string;
  memoryBytes: number;
}

/** The first NVIDIA GPU that the driver's own tool reports. */
export function queryGpu(): Gpu | undefined {
  const query = ['--query-gpu=name,memory.total', '--format=csv,noheader,nounits'];
  const { status, stdout } = spawnSync('nvidia-smi', query, { encoding: 'utf8', timeout: 10_000 });
  const match = status === 0 ? /^(.+), (\d+)$/m.exec(stdout) : null;
  return match ? { name: match[1], memoryBytes: Number(match[2]) * 2 ** 20 } : undefined;
}
