export { comparisonPage } from './compare.js';
export { JUDGMENT_COLUMNS, readJudgments } from './judgments.js';
