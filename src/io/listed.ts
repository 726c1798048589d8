/** A list of names for a message: the first few, and how many more. */
export function listed(names: string[], most = 6): string {
  if (names.length === 0) return 'none';
  const shown = names.slice(0, most).join(', ');
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}
