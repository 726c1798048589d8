/** Exit codes of the command line. */
export const EXIT = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const;

export type FailureCode = 1 | 2 | 130;

/**
 * Something the user can fix. Its message is the one line they see: name the file or option, say what is wrong,
 * what was expected and what to do. Any other error is a bug in maetok and is reported as such.
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

/**
 * A user error of a room that knows no options. `fault` says what could not be done as data, from which a command words
 * which of its options help.
 */
export class StructuredError<Fault extends { kind: string }> extends UserError {
  constructor(
    message: string,
    readonly fault: Fault,
    exitCode: FailureCode = EXIT.failed,
  ) {
    super(message, exitCode);
  }
}

/** The error for a file that could not be opened. */
export function unreadable(path: string, error: unknown): UserError {
  const absent = (error as NodeJS.ErrnoException).code === 'ENOENT';
  return new UserError(`${path}: ${absent ? 'no such file' : `cannot be read: ${faultOf(error) ?? messageOf(error)}`}`);
}

/** The error for rows without classes, which `wanted` needs. */
export const unlabelled = (name: string, wanted: string): UserError =>
  new UserError(
    `${name}: has no labels, which ${wanted} needs; extract from a folder with a subfolder per class, or give an array file (.npz, .pt) an array \`labels\``,
  );

/** The system's error codes in plain words, with a remedy where it is not obvious. */
const FAULTS: Record<string, string> = {
  ENOENT: 'no such file or folder',
  EACCES: 'permission denied',
  EPERM: 'not permitted',
  ENOSPC: 'the disk is full',
  EDQUOT: 'your share of the disk is used up (`quota` shows it)',
  EFBIG: 'the file would be larger than is allowed here (`ulimit -f` shows the limit)',
  EROFS: 'the file system is read-only',
  ENOTDIR: 'a part of the path is not a folder',
  EISDIR: 'is a folder, a file was expected',
  ENAMETOOLONG: 'the name is too long',
  ELOOP: 'its symbolic links form a loop',
  EMFILE: 'too many files are open at once; allow more with `ulimit -n 4096`',
  ENFILE: 'the system has too many files open; close other programs',
  EIO: 'the device failed to read or write',
  ENXIO: 'no such device',
  EBUSY: 'is in use',
  ETXTBSY: 'is a program that is running',
};

/** A file-system error in plain words; undefined for any other error. */
export function faultOf(error: unknown): string | undefined {
  const { code } = error as NodeJS.ErrnoException;
  return code !== undefined && Object.hasOwn(FAULTS, code) ? FAULTS[code] : undefined;
}

/** The message of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
