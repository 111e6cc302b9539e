import type { CloudEvent } from '../../kernel/cloudevent.ts';
import type { JsonObject } from '../../kernel/json.ts';
import type { Execution } from './execution.ts';

/** The event of an `emit` step with the attributes that it leaves out; its id is the step's, so that a repeated write is the same event. */
export function emittedEvent(
  execution: Execution,
  key: string,
  event: JsonObject,
  nowMs: number,
  keepsPosters: boolean,
): CloudEvent {
  const { run } = execution;
  const traceparent = execution.event?.event.traceparent;
  const full = {
    specversion: '1.0',
    id: `${run.id}/${key}`,
    source: `urn:aios:workflow:${run.workflow}`,
    time: new Date(nowMs).toISOString(),
    ...(traceparent === undefined ? {} : { traceparent }),
    ...event,
  } as unknown as CloudEvent;
  // Who started this run started what its events start; the flow's own text does not say who that is.
  delete full.postedby;
  if (keepsPosters && run.origin.startedBy !== undefined) full.postedby = run.origin.startedBy;
  if (event.id === undefined) full.id += execution.suffixOf(key, full as unknown as JsonObject);
  return full;
}
