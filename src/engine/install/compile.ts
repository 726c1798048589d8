import { rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { sourcesOf } from '../kernel-sources.js';
import type { InstallRecipe } from './platform.js';
import { complaint, type Tools } from './tools.js';

const require = createRequire(import.meta.url);

/** Headers of TensorFlow that the addon's and the kernels' sources include, directly or not. */
const HEADERS = [
  'tensorflow/c/',
  'tensorflow/core/platform/',
  'tensorflow/core/common_runtime/next_pluggable_device/c/',
  'xla/tsl/',
  'tsl/',
].map(folder => `tensorflow/include/${folder}`);

export const isHeader = (path: string): boolean => HEADERS.some(folder => path.startsWith(folder));

/** A C++ compiler that runs, `$CXX` (which may carry flags) first. */
export async function findCompiler(tools: Tools): Promise<string[]> {
  const candidates = [process.env.CXX ?? '', 'g++', 'c++', 'clang++'].filter(Boolean);
  for (const candidate of candidates) {
    const words = candidate.trim().split(/\s+/);
    if ((await tools.run(words[0], [...words.slice(1), '--version'])).code === 0) return words;
  }
  throw new Error(
    `none of ${candidates.join(', ')} works; install one, e.g. apt install g++ (macOS: xcode-select --install)`,
  );
}

/**
 * Compiles tfjs-node's own addon, and our kernels into it, against the unpacked TensorFlow in `folder`; returns its path
 * within.
 */
export async function compileBinding(
  folder: string,
  { libraries, linkFlags }: InstallRecipe,
  compiler: string[],
  tools: Tools,
  signal?: AbortSignal,
): Promise<string> {
  const sources = join(dirname(require.resolve('@tensorflow/tfjs-node-gpu/package.json')), 'binding');
  const { include_dir: nodeHeaders } = require('node-api-headers') as { include_dir: string };
  const binding = 'tensorflow/tfjs_binding.node';
  const objects = KERNELS.map((_, i) => join(folder, `tensorflow/kernels-${i}.o`));
  const headers = join(folder, 'tensorflow/include');
  const compile = (args: string[]): Promise<void> => compiled(args, compiler, tools, signal);
  for (const [i, flags] of KERNELS.entries())
    await compile([...KERNEL_FLAGS, ...flags, `-I${headers}`, ...sourcesOf('kernels'), '-o', objects[i]]);
  await compile([
    ...['-O2', '-DNAPI_VERSION=8'],
    ...[nodeHeaders, headers, sources].map(path => `-I${path}`),
    ...['tfjs_backend.cc', 'tfjs_binding.cc'].map(name => join(sources, name)),
    ...objects,
    ...libraries.map(library => join(folder, library)),
    ...linkFlags,
    ...['-o', join(folder, binding)],
  ]);
  for (const object of objects) await rm(object, { force: true });
  return binding;
}

/** Compiles the products, which need no TensorFlow, to an addon of their own; returns its path within `folder`. */
export async function compileProducts(
  folder: string,
  { linkFlags }: InstallRecipe,
  compiler: string[],
  tools: Tools,
  signal?: AbortSignal,
): Promise<string> {
  const { include_dir: nodeHeaders } = require('node-api-headers') as { include_dir: string };
  const file = 'products.node';
  // Products and sums stay apart where the sources have them apart: results have WebAssembly's bits.
  const flags = ['-O3', '-ffp-contract=off', '-DNAPI_VERSION=8', `-I${nodeHeaders}`, ...linkFlags];
  await compiled([...sourcesOf('products'), ...flags, '-o', join(folder, file)], compiler, tools, signal);
  return file;
}

async function compiled(args: string[], compiler: string[], tools: Tools, signal?: AbortSignal): Promise<void> {
  const [command, ...flags] = compiler;
  const outcome = await tools.run(command, [...flags, '-std=c++17', '-w', ...args], { signal });
  signal?.throwIfAborted();
  if (outcome.code !== 0) throw new Error(`${command}: ${complaint(outcome)}`);
}

/**
 * One object of all kernels. Errors and traps of floating point are not looked at, which lets loops be vectorised; NaN and
 * infinities stay what they are.
 */
const KERNEL_FLAGS = ['-r', '-nostdlib', '-O3', '-fPIC', '-fopenmp-simd', '-fno-math-errno', '-fno-trapping-math'];

/**
 * The kernels for vector units as of 2013, and once more, in a namespace of their own, for those of AVX-512; native/runtime.cc
 * takes what the processor has. Those for fewer processors come last: what is in both, as of the standard library, is linked
 * from the first.
 */
const KERNELS =
  process.arch === 'x64'
    ? [
        ['-march=x86-64-v3', '-DMAETOK_HAS_WIDE'],
        ['-march=x86-64-v4', '-mprefer-vector-width=512', '-DMAETOK_WIDE', '-Dmaetok=maetok_wide'],
      ]
    : [[]];
