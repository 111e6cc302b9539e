import type { Problem } from '../kernel/errors.ts';
import { GuardedDoor, type GuardedDoorOptions } from './guarded-door.ts';
import type { Reply } from './lean/door.ts';
import type { RequestHead } from './lean/head.ts';
import type { Publisher } from './publisher.ts';
import type { Caller } from './routes.ts';

const ROUTE = '/api/v1/events';
const JSON_HEADERS = ['content-type', 'application/json; charset=utf-8'] as const;
/** Read whole before there is a place for it: 64 KiB for each connection. What is larger goes by the route, which asks for a place first. */
const BODY_BYTES_MAX = 64 * 1024;

/** Takes events without a web framework, whose share of a single event was as large as all the rest (decisions/0024). */
export class EventDoor extends GuardedDoor<typeof ROUTE> {
  readonly prefix = ROUTE;
  protected readonly permission = 'events.write';
  readonly #publisher: Publisher;

  constructor(publisher: Publisher, options: GuardedDoorOptions) {
    super({ ...options, bodyBytesMax: Math.min(options.bodyBytesMax, BODY_BYTES_MAX) });
    this.#publisher = publisher;
  }

  protected addressOf({ url }: RequestHead): typeof ROUTE | undefined {
    return url === ROUTE ? ROUTE : undefined;
  }

  protected routeOf(): string {
    return ROUTE;
  }

  protected serve(
    caller: Caller,
    _address: typeof ROUTE,
    { headers }: RequestHead,
    body: Buffer,
    reply: Reply,
  ): void {
    const release = this.#publisher.intake.take(body.length);
    this.#publisher.publish(headers, body, caller.id).then(
      (published) => {
        release();
        reply.send(202, JSON_HEADERS, JSON.stringify(published));
      },
      (error: unknown) => {
        release();
        this.refuse(error, reply);
      },
    );
  }

  protected problemText(problem: Problem): string {
    return JSON.stringify(problem);
  }
}
