/** What `plot` draws; `points` is a point per row with the intervals of both of its coordinates. */
export const CHART_KINDS = ['line', 'bar', 'scatter', 'points'] as const;
export type ChartKind = (typeof CHART_KINDS)[number];
