export { joinByTcp } from './join.js';
export { meetingPoint } from './meeting-point.js';
