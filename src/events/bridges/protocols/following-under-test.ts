import { setTimeout as sleep } from 'node:timers/promises';
import type { CloudEvent } from '../../../kernel/cloudevent.ts';
import { toAiosError } from '../../../kernel/errors.ts';
import type { JsonObject } from '../../../kernel/json.ts';
import type { EventSource } from '../port/event-source.ts';

/** A source that is read on and on, as a process does it: after an error again, from the place that was last. */
export interface Following {
  readonly events: CloudEvent[];
  /** Of what was put aside. */
  readonly rejected: string[];
  /** Codes of what ended a reading, each once in a row. */
  readonly faults: string[];
  stop(): Promise<void>;
}

/** @example const following = follow(source); await expect.poll(() => following.events).toHaveLength(3); await following.stop() */
export function follow(source: EventSource, from?: JsonObject): Following {
  const ended = new AbortController();
  const [events, rejected, faults]: [CloudEvent[], string[], string[]] = [[], [], []];
  let place = from;
  const run = async () => {
    while (!ended.signal.aborted) {
      try {
        for await (const batch of source.read(place, ended.signal)) {
          events.push(...batch.events);
          rejected.push(...(batch.rejected ?? []).map(({ error }) => error.code));
          place = batch.position;
          await batch.acknowledge?.();
        }
      } catch (error) {
        const { code } = toAiosError(error);
        if (faults.at(-1) !== code) faults.push(code);
      }
      await sleep(50);
    }
  };
  const running = run();
  return {
    ...{ events, rejected, faults },
    async stop() {
      ended.abort();
      await running;
    },
  };
}
