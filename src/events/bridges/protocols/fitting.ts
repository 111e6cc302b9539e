import type { LoggedEvent } from '../../../kernel/cloudevent.ts';
import { AiosError } from '../../../kernel/errors.ts';
import type { Delivered } from '../port/event-source.ts';
import type { OutgoingMessage, SinkContext } from '../port/protocol.ts';

/** An event with the message that it is sent as. */
export type Written = LoggedEvent & { readonly message: OutgoingMessage };

interface Fitting {
  readonly encode: SinkContext['encode'];
  /** Whether what comes behind a refused event in its partition is undone. */
  readonly isStrict: boolean;
  /** Why the other side never takes a message; undefined for one that fits. */
  faultOf(message: OutgoingMessage, event: LoggedEvent): string | undefined;
}

/**
 * The events as messages, and those that the other side never takes.
 *
 * @example fittingOf(events, { encode, isStrict: false, faultOf: ({ value }) => (value.byteLength > 1e6 ? 'too large' : undefined) })
 */
export function fittingOf(
  events: readonly LoggedEvent[],
  { encode, isStrict, faultOf }: Fitting,
): { fitting: Written[] } & Delivered {
  const fitting: Written[] = [];
  const undone: LoggedEvent[] = [];
  const refused: { event: LoggedEvent; error: AiosError }[] = [];
  for (const event of events) {
    if (isStrict && refused.some((one) => one.event.partition === event.partition)) {
      undone.push(event);
      continue;
    }
    const message = encode(event.event);
    const detail = faultOf(message, event);
    if (detail === undefined) fitting.push({ ...event, message });
    else refused.push({ event, error: new AiosError('bridges.message_refused', { detail }) });
  }
  return { fitting, undone, refused };
}
