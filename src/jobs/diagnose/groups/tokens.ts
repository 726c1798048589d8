import {
  channelSummary,
  streamedRedundancy,
  tokenCorrelations,
  tokenRedundancy,
  tokenStds,
} from '../../../diagnose/index.js';
import type { Measured, Task } from '../task.js';

/** How channels and tokens are spread, and how far tokens repeat one another. */
export async function tokens({ tokens, rows: source, ranks, moments: find }: Task): Promise<Measured[]> {
  const moments = await find();
  const { rows } = source;
  const { mean, std, dead } = channelSummary(moments, tokens);
  const perToken = tokenStds(moments, tokens);
  const setting = `tokens=${tokens}`;
  const redundancy = moments.scatter
    ? tokenRedundancy(tokenCorrelations(moments.scatter, tokens), tokens)
    : await streamedRedundancy(source, moments, tokens, ranks);
  return [
    { measure: 'channel_mean_largest', value: Math.max(...mean.map(Math.abs)), rows },
    { measure: 'channel_std_smallest', value: Math.min(...std), rows },
    { measure: 'channel_std_largest', value: Math.max(...std), rows },
    { measure: 'dead_channels', value: dead, setting: `channels=${std.length}`, rows },
    { measure: 'token_std_smallest', value: Math.min(...perToken), setting, rows },
    { measure: 'token_std_largest', value: Math.max(...perToken), setting, rows },
    // One token has none to repeat.
    ...(tokens > 1 ? [{ measure: 'token_redundancy', value: redundancy, setting, rows }] : []),
  ];
}
