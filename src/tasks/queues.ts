import { AiosError } from '../kernel/errors.ts';
import type { Definition, Definitions } from '../store/definitions.ts';
import { compileCalendar } from './calendar-kind.ts';
import { compileQueue, type Queue } from './queue-kind.ts';
import type { WorkingCalendar } from './working-calendar.ts';

export interface QueueVersion {
  readonly version: number;
  readonly digest: string;
  readonly queue: Queue;
}

/** Which version of a queue a task was opened under. */
interface OpenedUnder {
  readonly queue: string;
  readonly queueVersion: number;
}

/** The queues and the calendars that they name, compiled as they are applied. */
export class Queues {
  readonly #definitions: Definitions;
  readonly #daysMax: number;
  readonly #current = new Map<string, QueueVersion>();
  readonly #calendars = new Map<string, WorkingCalendar>();
  /** Earlier versions, for tasks opened under them; by `name@version`. */
  readonly #earlier = new Map<string, QueueVersion>();

  constructor(definitions: Definitions, limits: { readonly calendarDaysMax: number }) {
    this.#definitions = definitions;
    this.#daysMax = limits.calendarDaysMax;
    for (const kind of ['calendar', 'queue'])
      for (const definition of definitions.list(kind)) this.#compile(definition);
    definitions.onChange((changed) => {
      for (const definition of changed) this.#compile(definition);
    });
  }

  /** @throws AiosError `tasks.unknown_queue` */
  current(name: string): QueueVersion {
    const found = this.#current.get(name);
    if (!found) throw new AiosError('tasks.unknown_queue', { detail: `There is no queue “${name}”.` });
    return found;
  }

  find(name: string): Queue | undefined {
    return this.#current.get(name)?.queue;
  }

  list(): Queue[] {
    return [...this.#current.values()].map(({ queue }) => queue);
  }

  /** The queue as it was when the task was opened: the form that was shown is the form that the answer is held to. */
  async of({ queue, queueVersion }: OpenedUnder): Promise<QueueVersion> {
    const current = this.#current.get(queue);
    if (current?.version === queueVersion) return current;
    const key = `${queue}@${queueVersion}`;
    const known = this.#earlier.get(key);
    if (known) return known;
    const definition = await this.#definitions.version('queue', queue, queueVersion);
    if (!definition) throw new AiosError('tasks.unknown_queue', { detail: `There is no queue ${key}.` });
    const compiled = compileVersion(definition);
    this.#earlier.set(key, compiled);
    return compiled;
  }

  /** The calendar of a queue as it is now: a free day that was added counts for what is under way. */
  calendarOf({ calendar }: Queue): WorkingCalendar | undefined {
    return calendar === undefined ? undefined : this.#calendars.get(calendar);
  }

  #compile(definition: Definition): void {
    const { kind, name, body } = definition;
    if (kind === 'queue') this.#current.set(name, compileVersion(definition));
    else if (kind === 'calendar') this.#calendars.set(name, compileCalendar(body, this.#daysMax));
  }
}

function compileVersion({ version, digest, body }: Definition): QueueVersion {
  return { version, digest, queue: compileQueue(body) };
}
