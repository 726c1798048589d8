import type { TFJSBinding } from '@tensorflow/tfjs-node-gpu/dist/tfjs_binding.js';
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { messageOf } from '../base/index.js';
import type { InstalledEngine } from './installed.js';
import { announceKernels, hasOwnProduct } from './compiled.js';
import { fixOnce } from './kernel-registry.js';
import { digestOf } from './kernel-sources.js';
import { silenceTensorFlow, withoutStderr } from './quiet.js';
import { restoreRemovedFunctions } from './removed-functions.js';
import { engineSettings } from './options.js';
import { useOwnProduct } from './matrix-product.js';
import { tf } from './tf.js';

const require = createRequire(import.meta.url);

/** The folder of the TensorFlow in this process, whose libraries another one's would be mixed with. */
let loaded: string | undefined;

/** Loads an installed TensorFlow and makes it the backend. A process can hold one TensorFlow. @throws Error */
export async function startInstalled(engine: InstalledEngine): Promise<void> {
  if (loaded !== undefined && loaded !== engine.folder)
    throw new Error(`this process holds the TensorFlow of ${loaded} already`);
  if (!hasTensorflow()) await load(engine);
  await makeBackend();
  announceKernels(engine.kernels === digestOf('kernels'));
  if (hasOwnProduct()) fixOnce('matrix product', useOwnProduct);
}

async function load(engine: InstalledEngine): Promise<void> {
  loaded = engine.folder;
  // Otherwise TensorFlow takes all of a GPU's memory at once.
  process.env.TF_FORCE_GPU_ALLOW_GROWTH ??= 'true';
  if (engineSettings().verbose !== true)
    silenceTensorFlow(join(engine.folder, engine.framework), engine.logLevelSymbol);
  restoreRemovedFunctions();
  const binding = require(join(engine.folder, engine.binding)) as TFJSBinding;
  const { NodeJSKernelBackend } = await import('./tfjs-node.js');
  const backend = new NodeJSKernelBackend(binding, '@tensorflow/tfjs-node-gpu');
  tf.registerBackend('tensorflow', () => backend, 3);
}

const STOCK = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'];

/** A tfjs-node whose own install step has fetched its addon, if there is one. */
export function stockPackage(): string | undefined {
  return STOCK.find(name => {
    try {
      const lib = join(dirname(require.resolve(`${name}/package.json`)), 'lib');
      return readdirSync(lib).some(folder => existsSync(join(lib, folder, 'tfjs_binding.node')));
    } catch {
      return false;
    }
  });
}

/** Loads it as its makers meant it. @throws Error */
export async function startStock(name: string): Promise<void> {
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '3';
  restoreRemovedFunctions();
  const load = (): unknown => require(name);
  try {
    if (engineSettings().verbose === true) load();
    else withoutStderr(load);
  } catch (error) {
    throw new Error(messageOf(error).split('\n')[0], { cause: error });
  }
  if (!hasTensorflow()) throw new Error(`${name} brought another copy of @tensorflow/tfjs`);
  await makeBackend();
}

/** Computes one sum too: what fails only then, in a Node yet to come, must fail while another engine can step in. */
async function makeBackend(): Promise<void> {
  await tf.setBackend('tensorflow');
  tf.tidy(() => void tf.ones([2]).sum().dataSync());
}

function hasTensorflow(): boolean {
  return (tf.findBackend('tensorflow') as unknown) !== null;
}
