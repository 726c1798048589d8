/** The names of a vocabulary kept as name → what it is, in its order. */
export const namesOf = <Name extends string>(vocabulary: Record<Name, unknown>): Name[] =>
  Object.keys(vocabulary) as Name[];

/** A vocabulary as help lists it: `flattened: all values of a latent; mean: each channel’s mean over the tokens`. */
export const explained = (vocabulary: Record<string, string | { about: string }>): string =>
  Object.entries(vocabulary)
    .map(([name, entry]) => `${name}: ${typeof entry === 'string' ? entry : entry.about}`)
    .join('; ');
