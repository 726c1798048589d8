import type { Socket } from 'node:net';
import { messageOf } from '../../base/index.js';

/** Kinds of frames: data, and that all are to end with a code. */
type FrameKind = 'data' | 'abort';

const KINDS: readonly FrameKind[] = ['data', 'abort'];
const MARK = 0x6d61_6574; // "maet"
const HEADER = 16;

/** Why a connection has ended before its time: the other side ended all ranks with a code, or it is gone. */
export type Ended = { code: number } | { message: string };

/** A connection that carries frames: a header of mark, kind and length (or exit code), then the bytes. */
export class Peer {
  private readonly inbox: Uint8Array[] = [];
  private waiting: { resolve: (bytes: Uint8Array) => void; reject: (error: Error) => void } | undefined;
  private lost: Error | undefined;
  /** The connection ends because the work has. */
  private closing = false;

  /** @param ended called once where the connection ends before `close`. */
  constructor(
    private readonly socket: Socket,
    private readonly ended: (why: Ended) => void,
  ) {
    socket.setNoDelay(true);
    void this.listen();
  }

  private async listen(): Promise<void> {
    try {
      for await (const frame of framesOf(this.socket)) {
        if (frame.kind === 'abort') {
          this.end({ code: frame.code });
          return;
        }
        this.deliver(frame.bytes);
      }
      this.end({ message: 'its connection was closed' });
    } catch (error) {
      this.end({ message: messageOf(error) });
    }
  }

  private deliver(bytes: Uint8Array): void {
    if (this.waiting) this.waiting.resolve(bytes);
    else this.inbox.push(bytes);
    this.waiting = undefined;
  }

  private end(why: Ended): void {
    if (this.closing || this.lost) return;
    this.lost = new Error('code' in why ? `ended with code ${why.code}` : why.message);
    this.waiting?.reject(this.lost);
    this.socket.destroy();
    this.ended(why);
  }

  receive(): Promise<Uint8Array> {
    const bytes = this.inbox.shift();
    if (bytes) return Promise.resolve(bytes);
    if (this.lost) return Promise.reject(this.lost);
    return new Promise((resolve, reject) => (this.waiting = { resolve, reject }));
  }

  async send(bytes: Uint8Array): Promise<void> {
    this.socket.write(headerOf('data', bytes.length));
    await this.written(bytes);
  }

  /** Has the other side end with a code. */
  async abort(code: number): Promise<void> {
    await this.written(headerOf('abort', code));
  }

  private async written(bytes: Uint8Array): Promise<void> {
    await new Promise<void>((resolve, reject) =>
      this.socket.write(bytes, error => {
        if (error) this.end({ message: messageOf(error) });
        if (error) reject(error);
        else resolve();
      }),
    );
  }

  /** Whether the connection has ended before its time. */
  get isLost(): boolean {
    return this.lost !== undefined;
  }

  /** From now on the other side may go. */
  close(): void {
    this.closing = true;
  }

  /** Ends the connection once everything is sent. */
  finish(): void {
    this.socket.end();
  }
}

function headerOf(kind: FrameKind, lengthOrCode: number): Buffer {
  const header = Buffer.alloc(HEADER);
  header.writeUInt32LE(MARK, 0);
  header.writeUInt32LE(KINDS.indexOf(kind), 4);
  header.writeDoubleLE(lengthOrCode, 8);
  return header;
}

type Frame = { kind: 'data'; bytes: Uint8Array } | { kind: 'abort'; code: number };

async function* framesOf(socket: Socket): AsyncGenerator<Frame> {
  const header = Buffer.alloc(HEADER);
  let target: Uint8Array = header;
  let filled = 0;
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    for (let at = 0; at < chunk.length;) {
      const count = Math.min(chunk.length - at, target.length - filled);
      target.set(chunk.subarray(at, at + count), filled);
      filled += count;
      at += count;
      if (filled < target.length) continue;
      filled = 0;
      if (target !== header) {
        yield { kind: 'data', bytes: target };
        target = header;
        continue;
      }
      const { kind, length } = read(header);
      if (kind === 'abort') yield { kind, code: length };
      else if (length === 0) yield { kind, bytes: new Uint8Array(0) };
      else target = new Uint8Array(length);
    }
  }
}

function read(header: Buffer): { kind: FrameKind; length: number } {
  const kind = KINDS.at(header.readUInt32LE(4));
  if (header.readUInt32LE(0) !== MARK || kind === undefined)
    throw new Error('something other than maetok answers there');
  return { kind, length: header.readDoubleLE(8) };
}
