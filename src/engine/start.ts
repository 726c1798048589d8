import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { EXIT, messageOf, UserError } from '../base/index.js';
import { installedEngines, type Build, type InstalledEngine } from './installed.js';
import { fixOnce } from './kernel-registry.js';
import { splitLongSums } from './long-sums.js';
import { fixGradients } from './gradient-fixes.js';
import { ENGINE_NAMES, ENGINES, type EngineKind } from './names.js';
import { nativeBackend } from './native.js';
import { engineSettings } from './options.js';
import { startInstalled, startStock, stockPackage } from './tensorflow.js';
import { tf } from './tf.js';
import { fixWasmKernels } from './wasm.js';

const require = createRequire(import.meta.url);

/** Starts one engine; throws the reason if it is not available. */
const STARTERS: Record<EngineKind, () => Promise<EngineKind>> = {
  gpu: async () => {
    await startInstalled(installed('gpu', 'no GPU build is installed (`maetok engine install --gpu`)'));
    if (nativeBackend()?.binding.isUsingGpuDevice() === true) return 'gpu';
    // One process holds one TensorFlow: this one continues on the CPU.
    fixOnce('tensorflow', () => splitLongSums('tensorflow'));
    return 'native';
  },
  native: async () => {
    const hint = 'no native engine is installed (`maetok engine install`)';
    const engine = installedEngines().find(({ build }) => build === 'cpu') ?? installed('gpu', hint);
    // A GPU build without its GPU is a CPU build.
    if (engine.build === 'gpu') process.env.CUDA_VISIBLE_DEVICES = '-1';
    await startInstalled(engine);
    fixOnce('tensorflow', () => splitLongSums('tensorflow'));
    return 'native';
  },
  stock: async () => {
    const name = stockPackage();
    if (name === undefined) throw new Error('no tfjs-node has its own addon here');
    await startStock(name);
    fixOnce('tensorflow', () => splitLongSums('tensorflow'));
    return 'stock';
  },
  wasm: async () => {
    const { setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
    // Beside its own module, which the build has moved elsewhere.
    setWasmPaths(`${dirname(require.resolve('@tensorflow/tfjs-backend-wasm'))}/`);
    if (!(await tf.setBackend('wasm'))) throw new Error('WebAssembly could not be set up');
    fixOnce('wasm', fixWasmKernels);
    return 'wasm';
  },
  js: async () => {
    await import('@tensorflow/tfjs-backend-cpu');
    await tf.setBackend('cpu');
    fixOnce('cpu', () => splitLongSums('cpu'));
    return 'js';
  },
};

let running: EngineKind | undefined;
/** Whether it runs because the work was small. */
let provisional = false;

/** So few numbers, of so few rows, are analysed sooner than a native engine would have started, in half of its memory. */
const SMALL = { numbers: 2 ** 18, rows: 2 ** 13 };

/**
 * Starts the numeric engine: `choice`, else `--engine`, else `MAETOK_ENGINE`, else the fastest that starts. Without a
 * choice a running engine is kept. Falling back to WebAssembly is said once, with the way to the faster one.
 * @throws UserError if the chosen engine is not available.
 */
export async function startEngine(choice?: string): Promise<EngineKind> {
  const wanted = chosen(choice);
  if (running !== undefined && (wanted === undefined ? !provisional : wanted === running)) return running;
  provisional = false;
  return await start(wanted);
}

/** Starts an engine for an analysis of such rows: WebAssembly for few of them, also beside a running one, unless another was chosen. */
export async function startEngineFor(sources: readonly { rows: number; width: number }[]): Promise<EngineKind> {
  const small = sources.every(({ rows, width }) => rows <= SMALL.rows && rows * width <= SMALL.numbers);
  if (!small || chosen(undefined) !== undefined || engineSettings().precision === 'bf16') return await startEngine();
  if (running === 'wasm') return running;
  provisional = true;
  return await start('wasm');
}

async function start(wanted: EngineKind | undefined): Promise<EngineKind> {
  // TensorFlow.js's own advice and warnings are for its makers' packages.
  if (engineSettings().verbose !== true) tf.env().set('PROD', true);
  fixOnce('gradients', fixGradients);
  running = wanted === undefined ? await startFastest() : await startOnly(wanted);
  return running;
}

function chosen(choice: string | undefined): EngineKind | undefined {
  const asked = choice ?? engineSettings().engine;
  const name = asked ?? process.env.MAETOK_ENGINE;
  if (name === undefined || name === '') return undefined;
  if (!(ENGINES as readonly string[]).includes(name))
    throw new UserError(
      `${asked === undefined ? 'MAETOK_ENGINE' : '--engine'}: no engine is called '${name}'; choose ${ENGINES.join(', ')}`,
    );
  return name as EngineKind;
}

async function startOnly(kind: EngineKind): Promise<EngineKind> {
  let started: EngineKind;
  try {
    started = await STARTERS[kind]();
  } catch (error) {
    throw new UserError(`engine ${kind} can't start: ${messageOf(error)}`, EXIT.failed, { cause: error });
  }
  if (started !== kind)
    throw new UserError(
      `engine ${kind} can't start: TensorFlow sees no usable GPU here (is the NVIDIA driver loaded?)`,
      EXIT.failed,
    );
  return started;
}

async function startFastest(): Promise<EngineKind> {
  const reasons = new Map<EngineKind, string>();
  for (const kind of ENGINES) {
    try {
      const started = await STARTERS[kind]();
      if (started === 'wasm' || started === 'js') engineSettings().warn?.(slowness(started, reasons));
      return started;
    } catch (error) {
      reasons.set(kind, messageOf(error));
    }
  }
  throw new UserError(`no numeric engine starts here: ${[...reasons.values()].join('; ')}`, EXIT.failed);
}

function slowness(kind: EngineKind, reasons: Map<EngineKind, string>): string {
  const broken = installedEngines().map(({ build }) => reasons.get(build === 'gpu' ? 'gpu' : 'native'))[0];
  const why =
    broken === undefined
      ? '`maetok engine install` sets it up, once, in a few minutes'
      : `it is installed but does not start (${broken}); \`maetok engine install --force\` rebuilds it`;
  return `running on ${ENGINE_NAMES[kind]}, several times slower than the native engine: ${why}`;
}

function installed(build: Build, otherwise: string): InstalledEngine {
  const engine = installedEngines().find(candidate => candidate.build === build);
  if (!engine) throw new Error(otherwise);
  return engine;
}
