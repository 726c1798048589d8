import nodeUtil from 'node:util';

/** The functions of `node:util` that tfjs-node 4.22 calls although Node has parted with them, as Node had them. */
const CALLED_BY_TFJS_NODE: Record<string, (value: unknown) => boolean> = {
  // Removed in Node 23.
  isNullOrUndefined: value => value === null || value === undefined,
  // Still there in Node 26.
  isArray: value => Array.isArray(value),
};

/**
 * Makes `node:util` what tfjs-node expects, before it is loaded. A function that is there stays as it is; since Node 22
 * its first call prints a deprecation that is not for maetok's users, so that call is made here, where nobody hears it.
 */
export function restoreRemovedFunctions(util: object = nodeUtil): void {
  for (const [name, value] of Object.entries(CALLED_BY_TFJS_NODE)) {
    const present: unknown = Reflect.get(util, name);
    if (typeof present === 'function') withoutWarnings(() => void (present as (value: unknown) => boolean)(undefined));
    else Object.defineProperty(util, name, { value, writable: true, configurable: true });
  }
}

function withoutWarnings(body: () => void): void {
  const former: unknown = Reflect.get(process, 'emitWarning');
  process.emitWarning = () => undefined;
  try {
    body();
  } finally {
    Reflect.set(process, 'emitWarning', former);
  }
}
