import type { Communicator } from './communicator.js';

/** What carries data between ranks: everything of a communicator but where its ranks run. */
export type Channel = Omit<Communicator, 'localRank' | 'localSize' | 'hosts' | 'broadcast'> & {
  broadcast(array: Parameters<Communicator['broadcast']>[0], root: number): Promise<void>;
};
