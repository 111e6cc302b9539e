import { AiosError } from '../../../kernel/errors.ts';
import type { Limits } from '../../../kernel/limits.ts';
import type { Database } from '../../../store/database.ts';
import { countOpenLetters } from '../../dead-letters.ts';
import type { BridgeDefinition } from '../definition/bridge-kind.ts';
import { bridgeGroup } from './bridge-view.ts';

interface Dependencies {
  db: Database;
  limits: Pick<Limits, 'bridgeDeadLettersMax'>;
}

/** What stands at a message rather than at the broker: an answer of the broker is no end of it. */
const STOPPED: readonly string[] = ['bridges.stopped', 'bridges.dead_letters_full'];

export function isStopped({ code }: AiosError): boolean {
  return STOPPED.includes(code);
}

/**
 * How many bad messages a bridge may put aside: none, or as many dead letters as nobody has dealt with. Once they are dealt with there is room again.
 *
 * @example if (letters > (await tolerance.room(letters))) throw tolerance.stop(`orders-in, ${id}`, error)
 */
export class Tolerance {
  readonly #dependencies: Dependencies;
  readonly #group: string;
  readonly #isNone: boolean;
  readonly #max: number;
  /** What there is room for at least, as far as this process knows. */
  #room = 0;

  constructor({ name, errors = {} }: Pick<BridgeDefinition, 'name' | 'errors'>, dependencies: Dependencies) {
    const { bridgeDeadLettersMax } = dependencies.limits;
    this.#dependencies = dependencies;
    this.#group = bridgeGroup(name);
    this.#isNone = errors.tolerance === 'none';
    this.#max = this.#isNone
      ? 0
      : Math.min(errors.deadLettersMax ?? bridgeDeadLettersMax, bridgeDeadLettersMax);
  }

  /** Messages that may be put aside now; the database is asked only where fewer are known than are wanted. */
  async room(wanted: number): Promise<number> {
    if (this.#isNone || this.#room >= wanted) return this.#room;
    const open = await countOpenLetters(this.#dependencies.db, this.#group, this.#max);
    this.#room = this.#max - open;
    return this.#room;
  }

  putAside(count: number): void {
    this.#room -= count;
  }

  /** Why the bridge stands. @param what the message, as people are to find it */
  stop(what: string, cause: AiosError): AiosError {
    const detail = `${what}: ${cause.message} (${cause.code})`;
    const extensions = { cause: cause.code };
    if (this.#isNone) return new AiosError('bridges.stopped', { detail, extensions, cause });
    return new AiosError('bridges.dead_letters_full', {
      detail: `${this.#max} dead letters of it are open. Next: ${detail}`,
      extensions: { ...extensions, limit: this.#max },
      cause,
    });
  }
}
