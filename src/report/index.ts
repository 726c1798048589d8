export { chartOf, leftOut } from './chart.js';
export type { ChartChoice } from './choice.js';
export { usualLosses } from './losses.js';
export { markdownTable } from './markdown.js';
export type { Mark, Measured } from './page/cell.js';
export { htmlReport } from './page/html.js';
export type { PageChart, PageSection, PageTable, Pictures, ReportPage, Sample } from './page/page.js';
export { requireSameProtocol, trainedDifferently, type ProtocolCard } from './protocol.js';
export { studySources } from './sources.js';
export { rasterise, renderSvg } from './render.js';
export {
  filter,
  FOLDED,
  folded,
  isNumeric,
  parseTable,
  readTable,
  stack,
  wordIn,
  type Table,
  type TableRow,
} from './table.js';
