import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';

import { setTimeout as pause } from 'node:timers/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { hostsOrReason, type Hosts } from '../../bench/scale/hosts.js';
import { tempFolder } from '../helpers/temp.js';
import { done, MAETOK, run, start, until } from './launchers.js';
import { extraction, lossesOf, TRAIN } from './tiny.js';

const folder = tempFolder();
const at = (name: string): string => join(folder, name);
const STEPS = '40';
const KEEPALIVE = Object.entries({ time: 3, intvl: 1, probes: 3 }).flatMap(([name, value]) => [
  ...['--mca', `oob_tcp_keepalive_${name}`, String(value)],
]);

const opened = hostsOrReason();

if (typeof opened === 'string') describe.skip(`two hosts (${opened})`, () => test('work', () => undefined));
else {
  afterAll(() => opened.close());
  describe('two hosts', () => twoHostsWork(opened));
}

function twoHostsWork(hosts: Hosts): void {
  const both = [...hosts.mpirun(), ...KEEPALIVE];

  beforeAll(async () => {
    await done([...MAETOK, ...TRAIN, '--steps', STEPS, '--out', at('ae')]);
    await done([...MAETOK, ...extraction(at('ae'), 50), '--out', at('latents')]);
  });

  /** That nothing of a job runs on a host any more. */
  async function expectNothingLeft(host: number): Promise<void> {
    for (let i = 0; i < 100 && hosts.processes(host).length > 0; i++) await pause(100);
    expect(hosts.processes(host)).toEqual([]);
  }

  async function expectResumed(out: string): Promise<void> {
    await done([...both, ...MAETOK, 'train', 'ae', '--out', out, '--resume']);
    const [losses, expected] = [lossesOf(out), lossesOf(at('ae'))];
    expect(losses).toHaveLength(Number(STEPS));
    losses.forEach((loss, step) => expect(Math.abs(loss / expected[step] - 1)).toBeLessThan(1e-5));
  }

  const saved = (out: string) => () =>
    existsSync(join(out, 'checkpoints')) && readdirSync(join(out, 'checkpoints')).includes('step-5');

  test('fit mixtures to the bytes of one process', async () => {
    const words = [...MAETOK, 'analyze-gmm', at('latents'), '--components', '2,3', '--dims', '3', '--out'];
    await done([...words, at('one.csv')]);
    const said = await done([...both, ...words, at('two.csv')]);
    expect(said).toContain('2 ranks on 2 hosts, 1 thread each');
    expect(readFileSync(at('two.csv'))).toEqual(readFileSync(at('one.csv')));
  });

  test('whose link goes down: all ends within 30 s on both, the host is named, and the same command goes on', async () => {
    const out = at('down');
    const job = start([...both, ...MAETOK, ...TRAIN, '--steps', STEPS, '--out', out]);
    await until(saved(out), job);
    hosts.link(1, 'down');
    const told = performance.now();
    const { code, said } = await job.ended;
    expect(code).not.toBe(0);
    expect(said).toMatch(/Remote daemon: .* on node maetok\d+-2/);
    await expectNothingLeft(1);
    expect((performance.now() - told) / 1000).toBeLessThan(30);
    hosts.link(1, 'up');
    await expectResumed(out);
  }, 120_000);

  test('whose link goes down between ranks without MPI: each names the other', async () => {
    const out = at('down-tcp');
    const words = [...MAETOK, ...TRAIN, '--steps', '100000', '--out', out];
    const rendezvous = ['env', 'WORLD_SIZE=2', `MASTER_ADDR=${hosts.addresses[0]}`, 'MASTER_PORT=29600'];
    const [first, second] = [0, 1].map(rank => start([...hosts.on(rank), ...rendezvous, `RANK=${rank}`, ...words]));
    await until(saved(out), first);
    hosts.link(1, 'down');
    const told = performance.now();
    expect((await first.ended).said).toContain('maetok: rank 1 is gone');
    expect((await second.ended).said).toContain('maetok: rank 0 is gone');
    expect((performance.now() - told) / 1000).toBeLessThan(30);
    hosts.link(1, 'up');
  }, 120_000);

  test('that do not share a folder: refused in one line', async () => {
    mkdirSync(at('unshared'));
    const alone = `mount -t tmpfs none ${at('unshared')} && exec "$@"`;
    const apart = `[ $OMPI_COMM_WORLD_RANK = 0 ] || exec unshare -m sh -c '${alone}' sh "$@"; exec "$@"`;
    const words = [...MAETOK, ...extraction(at('ae'), 50), '--out', at('unshared/latents')];
    const { code, said } = await run([...both, 'sh', '-c', apart, 'sh', ...words]);
    expect(said).toMatch(
      /maetok: .*unshared\/latents: rank 1 on maetok\d+-2 does not see what rank 0 on maetok\d+-1 writes there/,
    );
    expect(said.match(/^.*maetok: .*$/gm)).toHaveLength(1);
    expect(code).toBe(1);
  });
}
