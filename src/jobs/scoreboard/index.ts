export { explanations, omissions, PUBLISHED, scoreboard, scoreboardColumns } from './scoreboard.js';
