import { UserError, type Log } from '../base/index.js';
import type { RowSource } from '../rows/index.js';
import type { ChannelStatistics, LatentsOptions } from '../latents/index.js';
import { isHiddenStates, readHiddenStates } from '../jobs/hidden-states/options.js';
import { namedInputs } from './inputs.js';

export interface OpenedLatents {
  name: string;
  /** [tokens · channels] per row, called by `name`. */
  rows: RowSource;
  tokens: number;
  channels: number;
  /** Rows and columns of tokens that are a grid. */
  grid?: [height: number, width: number] | undefined;
  /** Each channel's mean and unbiased standard deviation over the rows. */
  statistics(): Promise<ChannelStatistics>;
  /** Names of the classes, where the files hold them. */
  classes?: string[] | undefined;
  /** SHA-256 of the files, for the protocol card; reads them whole. */
  digest(): Promise<string>;
  /** What hidden states in the place of latents depend on, for the protocol card. */
  hiddenStates?: Record<string, unknown>;
}

export interface NamedLatentsOptions extends LatentsOptions {
  /** How many rows to take, from the first. */
  limit?: number | undefined;
  /** How many of those to draw by `seed`. */
  drawn?: number | undefined;
  /** A diffusion model's hidden states (`sit:RUN@block8,t=0.5`) to compute from these latents and take in their place. */
  hiddenStates?: string | undefined;
  log: Log;
}

/** Opens latents named on the command line, one after the other. @throws UserError where two have the same name. */
export async function openNamedLatents(inputs: string[], options: NamedLatentsOptions): Promise<OpenedLatents[]> {
  const opened: OpenedLatents[] = [];
  for (const { name, path } of namedInputs(inputs)) {
    const latents = await openRows(path, options);
    opened.push({ ...latents, name, rows: { ...latents.rows, name } });
  }
  return opened;
}

/** Opens the latents at a path under their own name, or the hidden states that it names. */
export async function openRows(
  path: string,
  { limit, drawn, hiddenStates, ...options }: NamedLatentsOptions,
): Promise<Omit<OpenedLatents, 'name'>> {
  if (hiddenStates !== undefined || isHiddenStates(path)) {
    if (drawn !== undefined)
      throw new UserError(`${hiddenStates ?? path}: hidden states are of the first rows (--limit); leave out --rows`);
    const { openHiddenStates } = await import('../jobs/hidden-states/index.js');
    const spec = readHiddenStates(hiddenStates ?? path);
    const from = hiddenStates === undefined ? spec : { ...spec, latents: path };
    const { card, ...opened } = await openHiddenStates(from, { limit, ...options });
    return { ...opened, hiddenStates: card };
  }
  const { measuredStatistics, openLatents } = await import('../latents/index.js');
  const { randomRows, selectedRows } = await import('../rows/index.js');
  const latents = await openLatents(path, options);
  const all = latents.rows();
  const first = Math.min(limit ?? all.rows, all.rows);
  const count = Math.min(drawn ?? first, first);
  const rows = count === all.rows ? all : selectedRows(all, randomRows(first, count, options.seed ?? 0));
  const { tokens, channels, grid, classes } = latents;
  const statistics = (): Promise<ChannelStatistics> =>
    count === all.rows
      ? latents.statistics()
      : measuredStatistics(rows, latents, { communicator: options.communicator });
  return { rows, tokens, channels, grid, classes, statistics, digest: () => latents.digest() };
}

/** What a protocol card says of its sources: the digest of each, by name. */
export async function digestsOf(sources: OpenedLatents[]): Promise<Record<string, string>> {
  const digests: Record<string, string> = {};
  for (const source of sources) digests[source.name] = await source.digest();
  return digests;
}

/** What a protocol card says of those sources that are hidden states, by name. */
export function hiddenStatesOf(sources: OpenedLatents[]): Record<string, unknown> | undefined {
  const hidden = sources.flatMap(({ name, hiddenStates }) => (hiddenStates ? [[name, hiddenStates] as const] : []));
  return hidden.length > 0 ? Object.fromEntries(hidden) : undefined;
}
