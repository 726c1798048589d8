import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Packages, WheelFile } from './wheel-source.js';
import { PYTHON, type InstallRecipe } from './platform.js';
import type { Requirement } from './requirements.js';
import { complaint, type ToolOutcome, type Tools } from './tools.js';

const PIPS: [string, ...string[]][] = [['python3', '-m', 'pip'], ['python', '-m', 'pip'], ['pip3'], ['pip']];

/** pip's `install --report` (version 1). */
interface Report {
  install: {
    metadata: { name: string; version: string; requires_dist?: string[] };
    download_info: { url: string; archive_info?: { hash?: string; hashes?: { sha256?: string } } };
  }[];
}

/** Wheels through the user's pip, or undefined where there is none. */
export async function pipPackages(recipe: InstallRecipe, tools: Tools): Promise<Packages | undefined> {
  const pip = await findPip(tools);
  if (!pip) return undefined;
  const [command, ...before] = pip;
  const target = [
    ...['--no-deps', '--only-binary=:all:', '--no-input', '--disable-pip-version-check'],
    ...['--python-version', PYTHON.version, '--implementation', 'cp', '--abi', PYTHON.tag, '--abi', 'none'],
    ...recipe.platforms.flatMap(platform => ['--platform', platform]),
  ];
  const run = async (args: string[], signal?: AbortSignal): Promise<ToolOutcome> => {
    const outcome = await tools.run(command, [...before, ...args], { signal });
    signal?.throwIfAborted();
    if (outcome.code !== 0) throw new Error(complaint(outcome));
    return outcome;
  };
  const specs = (requirements: Requirement[]): string[] => requirements.map(({ name, range }) => name + range);

  return {
    name: 'pip',
    resolve: async (requirements, signal) => {
      // --target is what lets pip resolve for another Python; with --dry-run it writes nothing there.
      const flags = ['--dry-run', '--quiet', '--ignore-installed', '--report', '-', '--target', 'unused'];
      const { stdout } = await run(['install', ...flags, ...target, ...specs(requirements)], signal);
      return (JSON.parse(stdout) as Report).install.map(describe);
    },
    download: async (requirements, folder, signal) => {
      await run(['download', '--progress-bar', 'off', '--dest', folder, ...target, ...specs(requirements)], signal);
      return (await readdir(folder)).filter(name => name.endsWith('.whl')).map(name => join(folder, name));
    },
  };
}

async function findPip(tools: Tools): Promise<[string, ...string[]] | undefined> {
  for (const pip of PIPS) {
    const [command, ...before] = pip;
    if ((await tools.run(command, [...before, '--version'])).code === 0) return pip;
  }
  return undefined;
}

function describe({ metadata, download_info: { url, archive_info: archive } }: Report['install'][number]): WheelFile {
  return {
    name: metadata.name,
    version: metadata.version,
    file: decodeURIComponent(url.split('/').at(-1) ?? url),
    url,
    sha256: archive?.hashes?.sha256 ?? archive?.hash?.replace(/^sha256=/, '') ?? '',
    requires: metadata.requires_dist ?? [],
  };
}
