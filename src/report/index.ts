export { chartOf, type ChartChoice, type ChartKind } from './chart.js';
export { requireSameProtocol, type ProtocolCard } from './protocol.js';
export { rasterise, renderSvg } from './render.js';
export { parseTable, stack, type Table } from './table.js';
