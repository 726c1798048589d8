import { basename } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { VERSION } from '../base/index.js';
import type { StudyStep } from './plan.js';
import { provenanceOf } from './provenance.js';
import type { Study } from './study.js';

type Fields = Record<string, unknown>;

/** What a card says of one call only. */
const OF_ONE_CALL = new Set(['version', 'argv']);

/**
 * The protocol card of a study's summary: the study's settings, and of each kind of table what all of them have in common,
 * such as the digest of the images and of the feature extractor.
 */
export async function summaryCard(study: Study, steps: StudyStep[]): Promise<Fields> {
  const { seeds, tokenizers, extract, gmm, probe, diagnose, diffusion, sample, evaluate, evaluations } = study;
  const settings = { seeds, 'diffusion-seeds': study['diffusion-seeds'] ?? null, tokenizers, extract, gmm, probe };
  const cards = new Map<string, Fields[]>();
  for (const { file, fields } of (await provenanceOf(steps)).cards) {
    // `probe-mae.csv`: what it holds comes first.
    const [kind] = basename(file).split('-');
    cards.set(kind, [...(cards.get(kind) ?? []), fields]);
  }
  return {
    command: 'compare',
    version: VERSION,
    study: { ...settings, diagnose, diffusion, sample, evaluate, evaluations },
    tables: Object.fromEntries([...cards].map(([kind, all]) => [kind, common(all)])),
  };
}

/** The fields that have the same value in all of them. */
function common([first, ...others]: Fields[]): Fields {
  const shared = Object.entries(first).filter(
    ([name, value]) => !OF_ONE_CALL.has(name) && others.every(other => isDeepStrictEqual(other[name], value)),
  );
  return Object.fromEntries(shared);
}
