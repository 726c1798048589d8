/** How work that is kept in a folder stands. */
export const RUN_STATES = ['running', 'interrupted', 'failed', 'finished', 'damaged'] as const;
export type RunState = (typeof RUN_STATES)[number];
