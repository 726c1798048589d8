import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import type { AddressInfo } from 'node:net';

/** A Hugging Face hub of one repository, on this machine. */
export interface HubStub {
  url: string;
  files: Record<string, Buffer>;
  /** Files of which the hub states a SHA-256, as of large ones. */
  large: Set<string>;
  /** Ranges of the files that were asked for: `path from-to`. */
  downloads: string[];
  /** Files that arrive as zeros. */
  corrupt: Set<string>;
  /** Cut the connection after this many bytes of a file. */
  cutAfter: number | undefined;
  stop(): Promise<void>;
}

const COMMIT = 'c'.repeat(40);

export async function hubStub(repository: string, files: Record<string, Buffer>): Promise<HubStub> {
  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const stop = () => new Promise<void>(resolve => void (server.closeAllConnections(), server.close(() => resolve())));
  const stub: HubStub = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    files,
    large: new Set(),
    corrupt: new Set(),
    downloads: [],
    cutAfter: undefined,
    stop,
  };
  return stub;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = decodeURIComponent(new URL(request.url!, stub.url).pathname);
    const api = `/api/models/${repository}`;
    if (path === `${api}/revision/main`) json(response, { _id: '1', id: repository, sha: COMMIT, tags: [] });
    else if (path === `${api}/tree/${COMMIT}`) json(response, Object.keys(stub.files).map(describe));
    else if (path === `${api}/paths-info/${COMMIT}`) {
      const { paths } = JSON.parse((await buffer(request)).toString()) as { paths: string[] };
      json(response, paths.filter(name => name in stub.files).map(describe));
    } else if (path.startsWith(`/${repository}/resolve/${COMMIT}/`)) {
      send(request, response, path.slice(`/${repository}/resolve/${COMMIT}/`.length));
    } else json(response, { error: 'Repository not found' }, 404);
  }

  function describe(path: string) {
    const content = stub.files[path];
    const oid = createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');
    const sha256 = createHash('sha256').update(content).digest('hex');
    const lfs = stub.large.has(path) && { lfs: { oid: sha256, size: content.length, pointerSize: 100 } };
    return { type: 'file', path, size: content.length, oid, ...lfs };
  }

  function send(request: IncomingMessage, response: ServerResponse, path: string): void {
    const content = stub.files[path];
    const range = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '');
    const [from, to] = range ? [Number(range[1]), Number(range[2])] : [0, content.length - 1];
    if (to > 0) stub.downloads.push(`${path} ${from}-${to}`);
    response.writeHead(range ? 206 : 200, {
      ETag: '"x"',
      'Content-Range': `bytes ${from}-${to}/${content.length}`,
      'Content-Length': to - from + 1,
    });
    const part = stub.corrupt.has(path) ? Buffer.alloc(to + 1 - from) : content.subarray(from, to + 1);
    if (stub.cutAfter === undefined || part.length <= stub.cutAfter) response.end(part);
    else response.write(part.subarray(0, stub.cutAfter), () => setTimeout(() => response.destroy(), 50));
  }
}

function json(response: ServerResponse, content: unknown, status = 200): void {
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify(content));
}
