const SECOND_MS = 1_000;
const DAY_MS = 86_400_000;

/**
 * The wall clock of a place: what it shows at an instant, and when it shows a time. Days are counted from 1970-01-01 in the zone.
 *
 * @example new TimeZone('Europe/Berlin').instantOf(0, 12 * 3_600_000) // 1970-01-01T11:00:00Z
 */
export class TimeZone {
  readonly #format: Intl.DateTimeFormat;

  /** @throws RangeError when there is no such zone in the IANA database of this process */
  constructor(name: string) {
    this.#format = new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  }

  /** The local day of an instant and the milliseconds that its clock shows since midnight. */
  localOf(atMs: number): { day: number; timeMs: number } {
    const local = this.#local(atMs);
    const day = Math.floor(local / DAY_MS);
    return { day, timeMs: local - day * DAY_MS };
  }

  /**
   * When the clock shows a time of a day: the first time where it shows it twice, and where it never does, the moment at which it jumps over it.
   * So a later time of the clock is never an earlier instant.
   */
  instantOf(day: number, timeMs: number): number {
    const local = day * DAY_MS + timeMs;
    // The offsets a day before and after: no zone has changed its clock twice within two days since 1970.
    const before = local - this.#offset(local - DAY_MS);
    const after = local - this.#offset(local + DAY_MS);
    if (before === after) return before;
    const valid = [before, after].filter((instant) => this.#local(instant) === local);
    return valid.length > 0
      ? Math.min(...valid)
      : this.#jump(Math.min(before, after), Math.max(before, after));
  }

  /** The moment between two instants at which the offset changes. */
  #jump(fromMs: number, toMs: number): number {
    let [low, high] = [fromMs, toMs];
    const offset = this.#offset(low);
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (this.#offset(middle) === offset) low = middle;
      else high = middle;
    }
    return high;
  }

  #offset(atMs: number): number {
    return this.#local(atMs) - atMs;
  }

  /** What the clock shows, as the milliseconds that UTC would have shown it at. */
  #local(atMs: number): number {
    const part: Record<string, number> = {};
    for (const { type, value } of this.#format.formatToParts(atMs)) part[type] = Number(value);
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part;
    const rest = ((atMs % SECOND_MS) + SECOND_MS) % SECOND_MS;
    return Date.UTC(year, month - 1, day, hour, minute, second) + rest;
  }
}
