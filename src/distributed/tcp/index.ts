export { meet } from './meet.js';
export { meetingPoint } from './meeting-point.js';
