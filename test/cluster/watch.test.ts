import { expect, test } from '@jest/globals';
import { freePorts } from '../helpers/ports.js';
import { run, start } from './launchers.js';

const BUILT = new URL('../../dist/distributed/tcp/index.js', import.meta.url).href;

/** A rank of two that joins the other at these ports, says so to it, and does `then`. */
const rankThat = (then: string, rank: number, ports: number[]): string[] => [
  process.execPath,
  '--input-type=module',
  '--eval',
  `const { joinByTcp } = await import(${JSON.stringify(BUILT)});
  const point = { host: '127.0.0.1', ports: ${JSON.stringify(ports)}, job: 'test' };
  const lost = () => process.exit(99);
  await (await joinByTcp({ rank: ${rank}, size: 2 }, point, { lost })).barrier();
  ${then}`,
];

test('a rank whose main thread computes without a pause is ended too when another has gone', async () => {
  const ports = await freePorts(4);
  const busy = start(rankThat('for (;;);', 1, ports));
  await run(rankThat("process.kill(process.pid, 'SIGKILL');", 0, ports));
  const { code, stderr, seconds } = await busy.ended;
  expect(stderr).toBe('maetok: rank 0 is gone: its connection was closed\n');
  expect(code).toBe(1);
  expect(seconds).toBeLessThan(30);
});
