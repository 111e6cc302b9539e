/** What an alias means in the registry. */
export interface AliasRow {
  readonly name: string;
  readonly alias: string;
  readonly version: number;
  /** What it meant before its last promotion; null after a rollback. */
  readonly before: number | null;
}

type Aliases = Readonly<Record<string, number>>;

interface Warmth {
  /** True when a version answers here without having to start. */
  isReady?(name: string, version: number): boolean;
  prepare?(name: string, version: number): Promise<void>;
}

/**
 * Which version answers for an alias in this process. It follows the registry, but where another process promoted a version that is not loaded here,
 * the one before goes on answering until it is warm, or has failed to become so. A rollback is followed at once: what it takes away must not
 * answer any longer, warm or not.
 */
export class ServedAliases {
  readonly #warmth: Warmth;
  readonly #warming = new Set<string>();
  readonly #failed = new Set<string>();
  readonly #onWarm: () => void;

  constructor(warmth: Warmth, onWarm: () => void) {
    this.#warmth = warmth;
    this.#onWarm = onWarm;
  }

  /** What the aliases of a model mean here, after `served`, by their rows in the registry. */
  of(served: Aliases, rows: readonly AliasRow[]): Record<string, number> {
    const next: Record<string, number> = Object.create(null);
    for (const row of rows)
      next[row.alias] = this.#isHeld(served[row.alias], row) ? served[row.alias]! : row.version;
    return next;
  }

  #isHeld(served: number | undefined, { name, version, before }: AliasRow): boolean {
    if (served === undefined || served === version || before === null) return false;
    const { prepare, isReady } = this.#warmth;
    if (!prepare || isReady?.(name, version) !== false) return false;
    const key = `${name}/${version}`;
    if (this.#failed.delete(key)) return false;
    if (this.#warming.has(key)) return true;
    this.#warming.add(key);
    void prepare(name, version)
      .catch(() => void this.#failed.add(key)) // it is in force all the same: its callers are told why it does not start
      .then(() => {
        this.#warming.delete(key);
        this.#onWarm();
      });
    return true;
  }
}
