import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { tf } from './tf.js';

export type EngineKind = 'gpu' | 'native' | 'wasm' | 'js';
const require = createRequire(import.meta.url);

// FIRST DRAFT by the skeleton: the engine work replaces this file (resolution order, verbosity, warnings).
export async function startEngine(choice?: string): Promise<EngineKind> {
  const wanted = choice ?? process.env.MAETOK_ENGINE ?? 'native';
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '3';
  const cache =
    process.env.MAETOK_ENGINE_DIR ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'maetok', 'engine');
  const binding = join(cache, '2.21.0-cpu', 'tfjs_binding.node');
  if (wanted === 'native' && existsSync(binding)) {
    if (tf.getBackend() === 'tensorflow') return 'native';
    const { NodeJSKernelBackend } = require('@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js');
    require('@tensorflow/tfjs-node-gpu/dist/register_all_kernels.js');
    const backend = new NodeJSKernelBackend(require(binding), '@tensorflow/tfjs-node-gpu');
    tf.registerBackend('tensorflow', () => backend, 3);
    await tf.setBackend('tensorflow');
    return 'native';
  }
  require('@tensorflow/tfjs-backend-wasm');
  await tf.setBackend('wasm');
  await tf.ready();
  return 'wasm';
}
