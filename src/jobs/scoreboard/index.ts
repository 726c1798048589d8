export { explanations, omissions, PUBLISHED, scoreboard, SCOREBOARD_COLUMNS } from './scoreboard.js';
