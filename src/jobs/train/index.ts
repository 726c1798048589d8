export { trainModel, forecastTraining } from './run.js';
