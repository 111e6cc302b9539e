import type { EventSource } from '../port/event-source.ts';

/** The id of the first event that a source brings; the source ends with it. */
export async function takenFrom(source: EventSource): Promise<string | undefined> {
  const ending = new AbortController();
  try {
    for await (const { events, acknowledge } of source.read(undefined, ending.signal)) {
      await acknowledge?.();
      if (events[0]) return events[0].id;
    }
    return undefined;
  } finally {
    ending.abort();
  }
}
