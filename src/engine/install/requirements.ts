import { compareVersions } from '../installed.js';

/** One dependency as METADATA states it: `nvidia-cudnn-cu12<10.0,>=9.3.0.75; extra == "and-cuda"`. */
export interface Requirement {
  name: string;
  /** `<10.0,>=9.3.0.75`, or empty. */
  range: string;
}

/** The requirements that an extra adds. */
export function requirementsOf(extra: string, requires: string[]): Requirement[] {
  return requires
    .filter(line => new RegExp(`;.*\\bextra\\s*==\\s*["']${extra}["']`).test(line))
    .map(line => {
      const match = /^([A-Za-z0-9._-]+)\s*\(?([^;)]*)\)?/.exec(line)!;
      return { name: match[1], range: match[2].replaceAll(' ', '') };
    });
}

/** Whether a released version lies in a range; pre-releases never do. */
export function satisfies(version: string, range: string): boolean {
  if (!/^[\d.]+(\.post\d+)?$/.test(version)) return false;
  return range
    .split(',')
    .filter(Boolean)
    .every(clause => {
      const [, operator, bound] = /^(===?|!=|<=|>=|<|>|~=)(.+)$/.exec(clause) ?? [undefined, '', ''];
      const order = compareVersions(version, bound);
      if (operator === '>=') return order >= 0;
      if (operator === '<=') return order <= 0;
      if (operator === '>') return order > 0;
      if (operator === '<') return order < 0;
      if (operator === '!=') return order !== 0;
      return operator.startsWith('==') && order === 0;
    });
}
