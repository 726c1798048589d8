export { chartOf, leftOut, type ChartChoice } from './chart.js';
export { htmlReport, markdownTable, type Section } from './html.js';
export { requireSameProtocol, type ProtocolCard } from './protocol.js';
export { rasterise, renderSvg } from './render.js';
export { filter, isNumeric, parseTable, readTable, stack, wordIn, type Table, type TableRow } from './table.js';
