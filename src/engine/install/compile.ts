import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Recipe } from './platform.js';
import { complaint, type Tools } from './tools.js';

const require = createRequire(import.meta.url);

/** Headers of TensorFlow that the addon's two sources include, directly or not. */
const HEADERS = ['tensorflow/c/', 'tensorflow/core/platform/', 'xla/tsl/', 'tsl/'].map(
  folder => `tensorflow/include/${folder}`,
);

export const isHeader = (path: string): boolean => HEADERS.some(folder => path.startsWith(folder));

/** A C++ compiler that runs, `$CXX` (which may carry flags) first. */
export async function findCompiler(tools: Tools): Promise<string[]> {
  const candidates = [process.env.CXX ?? '', 'g++', 'c++', 'clang++'].filter(Boolean);
  for (const candidate of candidates) {
    const words = candidate.trim().split(/\s+/);
    if ((await tools.run(words[0], [...words.slice(1), '--version'])).code === 0) return words;
  }
  throw new Error(
    `none of ${candidates.join(', ')} runs; install one, e.g. apt install g++ (macOS: xcode-select --install)`,
  );
}

/** Compiles tfjs-node's own addon against the unpacked TensorFlow in `folder`; returns its path within. */
export async function compileBinding(
  folder: string,
  { libraries, linkFlags }: Recipe,
  compiler: string[],
  tools: Tools,
  signal?: AbortSignal,
): Promise<string> {
  const sources = join(dirname(require.resolve('@tensorflow/tfjs-node-gpu/package.json')), 'binding');
  const { include_dir: nodeHeaders } = require('node-api-headers') as { include_dir: string };
  const binding = 'tensorflow/tfjs_binding.node';
  const [command, ...flags] = compiler;
  const args = [
    ...flags,
    ...['-O2', '-std=c++17', '-w', '-DNAPI_VERSION=8'],
    ...[nodeHeaders, join(folder, 'tensorflow/include'), sources].map(path => `-I${path}`),
    ...['tfjs_backend.cc', 'tfjs_binding.cc'].map(name => join(sources, name)),
    ...libraries.map(library => join(folder, library)),
    ...linkFlags,
    ...['-o', join(folder, binding)],
  ];
  const outcome = await tools.run(command, args, { signal });
  signal?.throwIfAborted();
  if (outcome.code !== 0) throw new Error(`${command}: ${complaint(outcome)}`);
  return binding;
}
