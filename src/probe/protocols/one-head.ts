import { headScores, trainHeads, type HeadProtocol } from '../heads.js';
import { scoredOn, training, type ProbeResult, type ProbeTask } from './protocol.js';

/** Trains and judges the one linear head of a published protocol. */
export async function oneHead(task: ProbeTask, protocol: HeadProtocol, label: string): Promise<ProbeResult[]> {
  const heads = await trainHeads(task.data, task.classes, protocol, training(task, label));
  const [scores] = await headScores(heads, task.heldout);
  heads.dispose();
  return [{ setting: `lr=${protocol.rates[0]}`, scored: scoredOn(task, scores) }];
}
