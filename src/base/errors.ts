/** Exit codes of the command line. */
export const EXIT = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const;

export type FailureCode = 1 | 2 | 130;

/**
 * Something the user can mend. Its message is the one line they see: name the file or option, say what is wrong,
 * what was expected and what to do. Any other error is a defect of maetok and is reported as such.
 */
export class UserError extends Error {
  override readonly name = 'UserError';

  constructor(
    message: string,
    /** 2: wrong usage or unreadable input; 1: the work itself failed; 130: interrupted, state saved. */
    readonly exitCode: FailureCode = EXIT.usage,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** What a file that could not be opened is refused with. */
export function unreadable(path: string, error: unknown): UserError {
  const absent = (error as NodeJS.ErrnoException).code === 'ENOENT';
  return new UserError(`${path}: ${absent ? 'no such file' : `cannot be read: ${messageOf(error)}`}`);
}

/** The message of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
