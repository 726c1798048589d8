/** The file that makes a folder one of latents. Until it is there, the folder is unfinished. */
export const LATENTS_JSON = 'latents.json';
