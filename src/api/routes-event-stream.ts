import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { EventFeed } from '../events/feed.ts';
import type { EventLog } from '../events/log.ts';
import { readCursor } from '../events/search.ts';
import { compileSelection } from '../events/selection.ts';
import type { LoggedEvent } from '../kernel/cloudevent.ts';
import { AiosError } from '../kernel/errors.ts';
import type { Limits } from '../kernel/limits.ts';
import { type EventStream, openEventStream } from './event-stream.ts';
import { route } from './routes.ts';
import { iso } from './shapes.ts';

interface Dependencies {
  log: EventLog;
  limits: Limits;
}

/** The log as server-sent events; `id` is the place after the event, so that a reader who comes back misses nothing and gets nothing twice. */
export function eventStreamRoutes({ log, limits }: Dependencies): (server: FastifyInstance) => void {
  const feed = new EventFeed(log, limits);
  return (server) => {
    route(server, {
      method: 'GET',
      url: '/api/v1/events/stream',
      permission: 'events.read',
      summary:
        'New events of the log as server-sent events, from now on or after `Last-Event-ID`; in order within each partition. `event` is one of them; `dropped` says which offsets of a partition retention dropped before they were read',
      tag: 'events',
      query: Type.Object(
        {
          type: Type.Optional(
            Type.String({ description: 'Event types, separated by commas; all when left out' }),
          ),
          filter: Type.Optional(
            Type.String({ description: 'CEL over the attributes of the event and its data' }),
          ),
          after: Type.Optional(
            Type.String({
              description: 'The `id` to continue after, for clients that cannot send Last-Event-ID',
            }),
          ),
        },
        { additionalProperties: false },
      ),
      handle: async ({ request, reply, query: { type, filter, after } }) => {
        const types = type?.split(',').filter(Boolean);
        const isSelected = compileSelection({ types, filter });
        const last = request.headers['last-event-id'] ?? after;
        const head = await log.head();
        const from = typeof last === 'string' && last !== '' ? placeOf(last, head) : head;
        const stream = openEventStream(request, reply);
        const ended = new AbortController();
        stream.onClose(() => ended.abort());
        void tell(stream, feed.follow(from, isSelected, ended.signal));
      },
    });
  };
}

/** Where a reader goes on. A place that the log has not reached is of a log that was set back: there would be nothing for it until the log has grown past it, and what came until then would be left out. */
function placeOf(id: string, head: readonly number[]): number[] {
  const place = readCursor(id);
  if (place.every((offset, partition) => offset <= head[partition]!)) return place;
  throw new AiosError('request.invalid', {
    detail: `“${id}” is ahead of the log, which ends at “${head.join('.')}”: it was set back, to a backup mostly. Begin without an id.`,
  });
}

/** Nothing is read for a reader who has not taken what was sent: it waits in the log. */
async function tell(stream: EventStream, items: ReturnType<EventFeed['follow']>): Promise<void> {
  try {
    for await (const { logged, dropped, cursor } of items) {
      const id = cursor.join('.');
      if (dropped) stream.send('dropped', dropped, id);
      else if (logged) stream.send('event', toJson(logged), id);
      else stream.position(id);
      await stream.drained();
    }
  } catch {
    stream.close(); // the database is away: the reader comes again after the id that it has
  }
}

function toJson({ event, partition, offset, recordedAtMs }: LoggedEvent) {
  return { ...event, partition, offset, recordedAt: iso(recordedAtMs) };
}
