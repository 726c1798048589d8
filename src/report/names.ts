/** What `plot` draws. */
export const CHART_KINDS = ['line', 'bar', 'scatter'] as const;
export type ChartKind = (typeof CHART_KINDS)[number];
