import { spawnSync } from 'node:child_process';
import { type Cost } from './cost.js';
import { openPeer, pythonHas, sayOnce, type Peer } from './peer.js';
import { median, type Row } from './table.js';

/** A user of PyTorch would take the faster of the two, so that one is the peer. */
const WAYS = ['eager', 'compiled'] as const;
/** Of each way of PyTorch that is there. */
export type Each<T> = Partial<Record<(typeof WAYS)[number], T>>;

/** PyTorch in each way, a process each; in none where Python has no PyTorch. */
export interface Torch<Ready, Answer> {
  ready: Ready | undefined;
  /** Asks one after the other. */
  ask(line: string): Promise<Each<Answer>>;
  end(): void;
}

export interface TorchOptions {
  python: string;
  /** What it needs besides torch. */
  modules: string[];
  /** Leaves out `torch.compile`, which takes minutes. */
  quick: boolean;
}

/** Starts a script with these arguments and, behind them, the way. */
export async function openTorch<Ready, Answer>(
  args: string[],
  { python, modules, quick }: TorchOptions,
): Promise<Torch<Ready, Answer>> {
  const peers: Each<Peer<Ready, Answer>> = {};
  if (pythonHas(python, ['torch', ...modules]))
    for (const way of WAYS)
      if (way === 'eager' || (!quick && hasCompiler()))
        peers[way] = await openPeer<Ready, Answer>(python, [...args, way]);
  return {
    ready: peers.eager?.ready,
    ask: async line => {
      const answers: Each<Answer> = {};
      for (const way of WAYS) if (peers[way]) answers[way] = await peers[way].ask(line);
      return answers;
    },
    end: () => Object.values(peers).forEach(peer => peer.end()),
  };
}

function hasCompiler(): boolean {
  const found = spawnSync(process.env.CXX ?? 'g++', ['--version']).status === 0;
  if (!found) sayOnce('no g++: torch.compile is left out');
  return found;
}

/** One turn of all sides. */
export type Turn = { ours: Cost } & Each<Cost>;

/** "maetok 120 ms, eager 150 ms": a turn, for standard error. */
export const told = (turn: Turn): string =>
  Object.entries(turn)
    .map(([who, { seconds }]) => `${who === 'ours' ? 'maetok' : who} ${(1000 * seconds).toPrecision(4)} ms`)
    .join(', ');

/**
 * Columns of times per one of `count` things that a turn does, of peaks, and of their ratios: of throughput over each way and
 * over the faster, which is the ratio that counts, and of memory over that one's.
 */
export function comparison(turns: Turn[], count = 1): Row {
  const cost = (who: keyof Turn): (Cost & { peak: number }) | undefined => {
    const costs = turns.flatMap(turn => turn[who] ?? []);
    if (costs.length === 0) return undefined;
    const middle = (of: 'seconds' | 'cpu'): number => median(costs.map(one => one[of])) / count;
    return { seconds: middle('seconds'), cpu: middle('cpu'), peak: Math.max(...costs.map(({ peak = NaN }) => peak)) };
  };
  const [ours, eager, compiled] = [cost('ours')!, cost('eager'), cost('compiled')];
  const faster = compiled && eager && compiled.seconds < eager.seconds ? compiled : eager;
  const ms = (seconds: number | undefined): number | undefined => seconds && 1000 * seconds;
  const over = (other: Cost | undefined): string | undefined => other && (other.seconds / ours.seconds).toFixed(3);
  return {
    ms: ms(ours.seconds),
    eager_ms: ms(eager?.seconds),
    compiled_ms: ms(compiled?.seconds),
    over_eager: over(eager),
    over_compiled: over(compiled),
    ratio: over(faster),
    cpu_ratio: faster && (faster.cpu / ours.cpu).toFixed(3),
    peak_mb: ours.peak.toFixed(0),
    eager_peak_mb: eager?.peak.toFixed(0),
    compiled_peak_mb: compiled?.peak.toFixed(0),
    memory_ratio: faster && (ours.peak / faster.peak).toFixed(3),
  };
}
