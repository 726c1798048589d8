import { EXIT, UserError } from '../../base/index.js';
import { TENSORFLOW_VERSION, type Build } from '../installed.js';

/** The components of an engine on one kind of machine. */
export interface InstallRecipe {
  build: Build;
  /** The Python distribution whose wheel holds the libraries, and its version. */
  distribution: string;
  version: string;
  /** pip's names of platforms whose wheels run here, best first. */
  platforms: string[];
  /** The libraries in the wheel; the first is the framework. */
  libraries: [framework: string, cc: string];
  /** Compiler flags that make the addon find those libraries beside itself. */
  linkFlags: string[];
}

/** The tag of the one Python whose wheels are taken; only C++ libraries are used, so any would do. */
export const PYTHON = { version: '3.11', tag: 'cp311' } as const;

/** The glibc that TensorFlow's wheel needs, and every older one, newest first; three of them have older names too. */
const MANYLINUX = Array.from({ length: 23 }, (_, i) => 27 - i).flatMap(minor => {
  const alias: Record<number, string> = { 17: 'manylinux2014', 12: 'manylinux2010', 5: 'manylinux1' };
  return [`manylinux_2_${minor}`, ...(minor in alias ? [alias[minor]] : [])];
});

/** @throws UserError where no wheel fits this machine. */
export function recipeFor(
  build: Build,
  { platform, arch, musl }: { platform: string; arch: string; musl: boolean } = thisMachine(),
): InstallRecipe {
  if (platform === 'linux' && musl)
    throw unsupported('this Linux uses musl, TensorFlow needs glibc: take a Debian, Ubuntu or Fedora image');
  if (platform === 'linux' && (arch === 'x64' || arch === 'arm64')) {
    if (build === 'gpu' && arch !== 'x64') throw unsupported('TensorFlow has GPU wheels for Linux on x86-64 only');
    const machine = arch === 'x64' ? 'x86_64' : 'aarch64';
    return {
      build,
      distribution: build === 'cpu' && arch === 'x64' ? 'tensorflow-cpu' : 'tensorflow',
      version: TENSORFLOW_VERSION,
      platforms: MANYLINUX.map(tag => `${tag}_${machine}`),
      libraries: ['tensorflow/libtensorflow_framework.so.2', 'tensorflow/libtensorflow_cc.so.2'],
      linkFlags: ['-shared', '-fPIC', '-Wl,-rpath,$ORIGIN'],
    };
  }
  if (platform === 'darwin' && arch === 'arm64' && build === 'cpu') {
    return {
      build,
      distribution: 'tensorflow',
      version: TENSORFLOW_VERSION,
      platforms: ['macosx_12_0_arm64'],
      libraries: ['tensorflow/libtensorflow_framework.2.dylib', 'tensorflow/libtensorflow_cc.2.dylib'],
      linkFlags: ['-bundle', '-undefined', 'dynamic_lookup', '-Wl,-rpath,@loader_path'],
    };
  }
  throw unsupported(`TensorFlow ${TENSORFLOW_VERSION} has no ${build} wheel for ${platform} on ${arch}`);
}

function unsupported(reason: string): UserError {
  return new UserError(`engine install: ${reason}; maetok runs on WebAssembly here`, EXIT.failed);
}

function thisMachine(): { platform: string; arch: string; musl: boolean } {
  const { header } = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  return {
    platform: process.platform,
    arch: process.arch,
    musl: process.platform === 'linux' && header.glibcVersionRuntime === undefined,
  };
}
