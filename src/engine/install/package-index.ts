import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import type { Log } from '../../base/index.js';
import { compareVersions } from '../installed.js';
import type { Packages, WheelFile } from './wheel-source.js';
import { PYTHON, type InstallRecipe } from './platform.js';
import { satisfies, type Requirement } from './requirements.js';
import type { Tools } from './tools.js';

const INDEX = 'https://pypi.org/pypi';

interface IndexFile {
  filename: string;
  url: string;
  size: number;
  digests: { sha256: string };
  yanked?: boolean;
}

interface IndexEntry {
  info: { name: string; version: string; requires_dist: string[] | null };
  releases?: Record<string, IndexFile[]>;
  urls: IndexFile[];
}

/** Wheels by the package index's JSON interface, for machines without pip. */
export function indexPackages(recipe: InstallRecipe, tools: Tools, log: Log): Packages {
  const ask = async (path: string, signal?: AbortSignal): Promise<IndexEntry> => {
    const response = await tools.fetch(`${INDEX}/${path}/json`, { signal });
    if (!response.ok) throw new Error(`${INDEX}/${path}: answered ${response.status} ${response.statusText}`);
    return (await response.json()) as IndexEntry;
  };

  const resolveOne = async ({ name, range }: Requirement, signal?: AbortSignal): Promise<WheelFile> => {
    const { releases = {} } = await ask(name, signal);
    const versions = Object.keys(releases)
      .filter(version => satisfies(version, range))
      .sort((a, b) => compareVersions(b, a));
    for (const version of versions) {
      const file = bestWheel(releases[version], recipe);
      if (!file) continue;
      const { info } = await ask(`${name}/${version}`, signal);
      return {
        name,
        version,
        file: file.filename,
        url: file.url,
        sha256: file.digests.sha256,
        bytes: file.size,
        requires: info.requires_dist ?? [],
      };
    }
    throw new Error(`no wheel of ${name}${range} fits ${recipe.platforms[0]}`);
  };

  const resolve = async (requirements: Requirement[], signal?: AbortSignal): Promise<WheelFile[]> => {
    const files: WheelFile[] = [];
    for (const requirement of requirements) files.push(await resolveOne(requirement, signal));
    return files;
  };

  return {
    name: 'the package index',
    resolve,
    download: async (requirements, folder, signal) => {
      const paths: string[] = [];
      for (const wheel of await resolve(requirements, signal)) {
        const path = join(folder, wheel.file);
        await downloadFile(wheel, path, tools, log, signal);
        paths.push(path);
      }
      return paths;
    },
  };
}

/** The wheel for the best of the recipe's platforms, for our Python or for any. */
function bestWheel(files: IndexFile[], { platforms }: InstallRecipe): IndexFile | undefined {
  const fits = (file: IndexFile, platform: string): boolean => {
    const [python = '', abi = '', tags = ''] = file.filename
      .replace(/\.whl$/, '')
      .split('-')
      .slice(-3);
    const pythons = python.split('.');
    const ours = (pythons.includes(PYTHON.tag) && abi === PYTHON.tag) || (pythons.includes('py3') && abi === 'none');
    return file.filename.endsWith('.whl') && file.yanked !== true && ours && tags.split('.').includes(platform);
  };
  for (const platform of platforms) {
    const file = files.find(candidate => fits(candidate, platform));
    if (file) return file;
  }
  return undefined;
}

async function downloadFile(
  wheel: WheelFile,
  path: string,
  tools: Tools,
  log: Log,
  signal: AbortSignal | undefined,
): Promise<void> {
  const response = await tools.fetch(wheel.url, { signal });
  if (!response.ok || !response.body) throw new Error(`${wheel.file}: answered ${response.status}`);
  const MEGABYTE = 2 ** 20;
  const progress = log.progress(wheel.file, Math.ceil((wheel.bytes ?? 0) / MEGABYTE), 'MB');
  const hash = createHash('sha256');
  let bytes = 0;
  const measured = new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      hash.update(chunk);
      bytes += chunk.length;
      progress.update(Math.floor(bytes / MEGABYTE));
      done(null, chunk);
    },
  });
  try {
    const body = Readable.fromWeb(response.body as ReadableStream<Uint8Array>);
    await pipeline(body, measured, createWriteStream(path), { signal });
  } finally {
    progress.stop();
  }
  if (hash.digest('hex') !== wheel.sha256)
    throw new Error(`${wheel.file}: what arrived does not match the index's SHA-256`);
}
