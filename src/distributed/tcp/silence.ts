import type { Socket } from 'node:net';

/** In which a host that is up answers, though its process computes: kernels do that. */
const PATIENCE_MS = 15_000;
const PROBE_AFTER_MS = 3000;
// Of Linux's netinet/in.h and netinet/tcp.h.
const IPPROTO_TCP = 6;
const TCP_USER_TIMEOUT = 18;

/**
 * Has the kernel end a connection whose other host no longer answers: it probes one that is idle, and waits no longer for what
 * was sent to be acknowledged, which by default takes a quarter of an hour. Node itself sets only the former.
 */
export async function limitSilence(socket: Socket): Promise<void> {
  socket.setKeepAlive(true, PROBE_AFTER_MS);
  const file = (socket as { _handle?: { fd?: number } })._handle?.fd ?? -1;
  if (process.platform !== 'linux' || file < 0) return;
  const { default: koffi } = await import('koffi');
  const set = koffi.load(null).func('int setsockopt(int file, int level, int name, uint *value, uint length)');
  set(file, IPPROTO_TCP, TCP_USER_TIMEOUT, [PATIENCE_MS], 4);
}
