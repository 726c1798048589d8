import { existsSync } from 'node:fs';
import { open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, posix } from 'node:path';
import { EXIT, messageOf, silentLog, UserError, withLock, type Log } from '../base/index.js';
import { makeFolder } from './folder.js';
import { cacheFolder, hasIdentity, repositoryCache, type RepositoryCache } from './hub-cache.js';
import { listed } from './listed.js';
import { USUAL_WEIGHTS } from './weights.js';

export interface HubOptions {
  /** Take nothing but what is in the cache. Default: as `HF_HUB_OFFLINE` says. */
  offline?: boolean | undefined;
  /** Default `HF_ENDPOINT`, else https://huggingface.co. */
  hubUrl?: string | undefined;
  /** Default: where Python's huggingface_hub keeps its own. */
  cache?: string | undefined;
  log?: Log | undefined;
  signal?: AbortSignal | undefined;
}

/** `hf:owner/name`, with `@revision` and `/file` (or a folder) where given. */
export interface HubSpec {
  repository: string;
  revision: string;
  file: string | undefined;
}

/** Takes `hf:owner/name[@revision][/file]` apart. */
export function parseHubSpec(spec: string): HubSpec {
  const match = /^hf:([\w.-]+\/[\w.-]+)(?:@([\w.-]+))?(?:\/(.+))?$/.exec(spec);
  const [repository, revision = 'main', file] = (match?.slice(1) ?? []) as (string | undefined)[];
  const names = [repository, revision, file].flatMap(part => part?.split('/') ?? []);
  if (!match || names.includes('..') || names.includes('.'))
    throw new UserError(
      `'${spec}': a repository of the hub is hf:owner/name, hf:owner/name@revision or hf:owner/name/file`,
    );
  return { repository: repository!, revision, file };
}

/**
 * The weights of a Hugging Face repository, or of a folder of it, as a file on this machine, with what stands beside them
 * there and is read with them: configs and statistics.
 * Files in the cache are not downloaded again; an interrupted download resumes where it stopped; every file's checksum is
 * verified.
 */
export async function hubWeights(spec: string, options: HubOptions = {}): Promise<string> {
  const parsed = parseHubSpec(spec);
  const repository = await openRepository(parsed, options);
  const names = await repository.names();
  const file = fileOf(spec, parsed.file, names);
  const beside = (name: string): string => posix.join(posix.dirname(file), name);
  const companions = [...COMPANIONS.map(beside), file.replace(/\.\w+$/, '-latents-stats.pt')];
  for (const companion of companions) if (names.includes(companion)) await repository.fetch(companion);
  const path = await repository.fetch(file);
  for (const shard of file.endsWith('.index.json') ? await shardsOf(path) : []) {
    if (!names.includes(beside(shard)))
      throw new UserError(`${spec}: ${file} names ${shard}, which the repository lacks`);
    await repository.fetch(beside(shard));
  }
  return path;
}

/** What stands beside weights and is read with them. */
const COMPANIONS = ['config.json', 'preprocessor_config.json', 'stat.pt', 'stats.pt'];

/** The file that was named, or the usual one of the repository or of the folder that was named. */
function fileOf(spec: string, named: string | undefined, names: string[]): string {
  if (named === undefined) return usualWeights(spec, names);
  const within = names.filter(name => name.startsWith(`${named}/`)).map(name => name.slice(named.length + 1));
  if (within.length > 0) return `${named}/${usualWeights(spec, within)}`;
  if (names.includes(named)) return named;
  throw new UserError(`${spec}: has no file ${named}; it has ${listed(names)}`);
}

/** One commit of a repository: what it holds, and the way to have it here. */
interface Repository {
  names(): Promise<string[]>;
  fetch(file: string): Promise<string>;
}

async function openRepository(spec: HubSpec, options: HubOptions): Promise<Repository> {
  const cache = repositoryCache(options.cache ?? cacheFolder(), spec.repository);
  if (options.offline ?? isSet(process.env.HF_HUB_OFFLINE)) return await cached(spec, cache, '--offline forbids it');
  const hub = await import('@huggingface/hub');
  const { hubUrl = process.env.HF_ENDPOINT } = options;
  const access = {
    ...(hubUrl !== undefined && { hubUrl }),
    ...(process.env.HF_TOKEN !== undefined && { accessToken: process.env.HF_TOKEN }),
  };
  const asking = { name: spec.repository, revision: spec.revision, additionalFields: ['sha' as const], ...access };
  let commit: string;
  try {
    commit = (await hub.modelInfo(asking)).sha;
  } catch (error) {
    if (error instanceof hub.HubApiError)
      throw new UserError(`hf:${spec.repository}: the hub answers ${error.statusCode}: ${messageOf(error)}`);
    (options.log ?? silentLog).warn(`hf:${spec.repository}: the hub cannot be reached; using the cache`);
    return await cached(spec, cache, `the hub cannot be reached (${messageOf(error)})`);
  }
  await cache.remember(spec.revision, commit);
  const at = { repo: spec.repository, revision: commit, ...access };
  return {
    async names() {
      const names: string[] = [];
      for await (const { type, path } of hub.listFiles(at)) if (type === 'file') names.push(path);
      if (spec.file?.includes('/')) names.push(spec.file);
      return names;
    },
    fetch: file => fetchFile(hub, at, file, cache, options),
  };
}

const isSet = (value: string | undefined): boolean => value !== undefined && /^(1|on|yes|true)$/i.test(value);

async function cached({ repository, revision }: HubSpec, cache: RepositoryCache, why: string): Promise<Repository> {
  const commit = await cache.commitOf(revision);
  const absent = (what: string) =>
    new UserError(`hf:${repository}: ${what} is not in the cache and ${why}; run once with network access`);
  if (commit === undefined || !existsSync(cache.snapshot(commit, ''))) throw absent(`revision ${revision}`);
  return {
    names: async () =>
      (await readdir(cache.snapshot(commit, ''), { recursive: true })).map(name => name.replaceAll('\\', '/')),
    fetch(file) {
      const path = cache.snapshot(commit, file);
      return existsSync(path) ? Promise.resolve(path) : Promise.reject(absent(file));
    },
  };
}

type Hub = typeof import('@huggingface/hub');

interface RepositoryAt {
  repo: string;
  revision: string;
  hubUrl?: string;
  accessToken?: string;
}

async function fetchFile(
  hub: Hub,
  at: RepositoryAt,
  path: string,
  cache: RepositoryCache,
  options: HubOptions,
): Promise<string> {
  const there = cache.snapshot(at.revision, path);
  if (existsSync(there)) return there;
  const info = (await hub.pathsInfo({ ...at, paths: [path] })).at(0);
  const identity = { ...(info?.lfs && { sha256: info.lfs.oid }), ...(info?.oid && { oid: info.oid }) };
  const etag = identity.sha256 ?? identity.oid;
  if (etag === undefined) throw new UserError(`hf:${at.repo}: the hub states no checksum of ${path}`);
  const blob = cache.blob(basename(etag));
  const lock = cache.lock(basename(etag));
  await makeFolder(dirname(lock));
  await withLock(lock, { log: options.log ?? silentLog, signal: options.signal }, async () => {
    if (existsSync(blob)) return;
    const label = `hf:${at.repo}/${path}`;
    const source = await hub.downloadFile({ ...at, path });
    if (!source) throw new UserError(`${label}: the hub does not have it`);
    await makeFolder(dirname(blob));
    await download(label, source, `${blob}.incomplete`, options);
    if (!(await hasIdentity(`${blob}.incomplete`, identity))) {
      await rm(`${blob}.incomplete`);
      throw new UserError(`${label}: does not have the checksum that the hub states; it was removed, try again`);
    }
    await rename(`${blob}.incomplete`, blob);
  });
  return await cache.link(basename(etag), at.revision, path);
}

/** Appends what is missing; a half-downloaded file stays for the next time where this one is cut off. */
async function download(label: string, source: Blob, partial: string, { log = silentLog, signal }: HubOptions) {
  const present = existsSync(partial) ? (await stat(partial)).size : 0;
  const start = present <= source.size ? present : 0;
  const file = await open(partial, start > 0 ? 'a' : 'w');
  const progress = log.progress(label, source.size, 'B');
  try {
    let done = start;
    if (done < source.size)
      for await (const chunk of source.slice(start).stream() as AsyncIterable<Uint8Array>) {
        if (signal?.aborted) throw new UserError('interrupted; the download resumes at the next run', EXIT.interrupted);
        await file.writeFile(chunk);
        progress.update((done += chunk.length));
      }
    if (done !== source.size) throw new Error(`${done} of ${source.size} bytes came`);
    await file.sync();
  } catch (error) {
    throw error instanceof UserError
      ? error
      : new UserError(
          `${label}: the download was interrupted (${messageOf(error)}); run again to resume it`,
          EXIT.failed,
        );
  } finally {
    progress.stop();
    await file.close();
  }
}

/** Under the usual names first, else the only one that looks like weights. */
function usualWeights(spec: string, names: string[]): string {
  const usual = USUAL_WEIGHTS.find(name => names.includes(name));
  if (usual !== undefined) return usual;
  const possible = names.filter(name => /^[^/]+\.(safetensors|pt|pth|ckpt|bin)$/.test(name));
  if (possible.length === 1) return possible[0];
  throw new UserError(
    possible.length === 0
      ? `${spec}: holds no weights; it has ${listed(names)}`
      : `${spec}: holds ${listed(possible)}; say which, e.g. ${spec}/${possible[0]}`,
  );
}

async function shardsOf(index: string): Promise<Set<string>> {
  const { weight_map: map } = JSON.parse(await readFile(index, 'utf8')) as { weight_map: Record<string, string> };
  return new Set(Object.values(map));
}
