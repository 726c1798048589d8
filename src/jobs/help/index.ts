export { findTopic, pages } from './pages.js';
export { renderMarkdown } from './terminal.js';
