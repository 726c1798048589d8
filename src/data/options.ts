import { z } from 'zod';

const key = z.string().min(1).optional();

/** Where in a file of many images these and their labels are. The same may be said in the name: `FILE?images=KEY&labels=KEY`. */
export const imageKeys = {
  imagesKey: key.describe('array, column or field that holds the images; default: one of a usual name'),
  labelsKey: key.describe('array or column that holds their labels; default: one of a usual name'),
};
