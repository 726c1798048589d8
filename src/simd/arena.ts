const PAGE = 65536;
/** What 32-bit addresses reach. */
export const ADDRESSABLE = 65536 * PAGE;

/** Lays arrays out in one memory, one behind the other, each on a cache line of its own. */
export class Arena {
  private at = 64;

  /** The address of `bytes` bytes. */
  take(bytes: number): number {
    const address = this.at;
    this.at = Math.ceil((address + bytes) / 64) * 64;
    return address;
  }

  get bytes(): number {
    return this.at;
  }

  get pages(): number {
    return Math.ceil(this.at / PAGE);
  }
}
