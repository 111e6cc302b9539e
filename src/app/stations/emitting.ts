import type { Contracts } from '../../contracts/contracts.ts';
import { checkEvent } from '../../events/cloudevents-http.ts';
import type { EventLog } from '../../events/log.ts';
import type { Clock } from '../../kernel/clock.ts';
import { type CloudEvent, postedBy } from '../../kernel/cloudevent.ts';
import type { JsonObject } from '../../kernel/json.ts';
import { requireDepth } from '../../kernel/json-depth.ts';
import type { Limits } from '../../kernel/limits.ts';
import type { Write } from '../../store/lane.ts';

interface Surroundings {
  readonly contracts: Pick<Contracts, 'check'>;
  readonly log: Pick<EventLog, 'write'>;
  readonly clock: Clock;
  readonly limits: Limits;
}

/** The write that appends an event of AIOS's own to the log; `isWritten` is one that a flow's text and data make. */
export type Emit = (event: CloudEvent, isWritten?: boolean) => Write;

/**
 * What flows and people emit is held to its contract as what comes in is. An event that a flow makes may be of any form, too, and any length and time: it is held to
 * the form of a CloudEvent and to the limits of events, as if it came from outside.
 */
export function createEmitter({ contracts, log, clock, limits }: Surroundings): Emit {
  return (event, isWritten = false) => {
    const full = isWritten ? asFromOutside(event, clock.now(), limits) : event;
    contracts.check(full);
    return log.write(full);
  };
}

/** @throws AiosError `events.invalid`, `events.payload_too_large`, `events.time_in_future`, `request.too_deep` */
function asFromOutside(event: CloudEvent, nowMs: number, limits: Limits): CloudEvent {
  requireDepth(event, limits.jsonDepthMax + 1); // writing goes by recursion
  const value = event as unknown as JsonObject;
  const checked = checkEvent(value, nowMs, Buffer.byteLength(JSON.stringify(value)), limits);
  // Who started the run is said by AIOS, and stays.
  return postedBy(checked, typeof event.postedby === 'string' ? event.postedby : undefined);
}
