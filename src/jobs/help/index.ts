export { findTopic, pages, type Page } from './pages.js';
export { renderMarkdown, type Style } from './terminal.js';
