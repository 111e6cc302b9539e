import type { LoggedEvent } from '../../../kernel/cloudevent.ts';
import type { AiosError } from '../../../kernel/errors.ts';
import { event } from '../../event-under-test.ts';
import type { EventSink } from '../port/event-source.ts';

/** An event of the log's first partition. */
export const logged = (offset: number, one = event(`e${offset}`)): LoggedEvent => ({
  ...{ partition: 0, offset, event: one, timeMs: 0, recordedAtMs: 0 },
});

/** What a sink says of events: the offsets of those that are refused, or the code of why none is safe. */
export const told = (sink: EventSink, events: readonly LoggedEvent[]): Promise<number[] | string> =>
  sink.deliver(events).then(
    ({ refused = [] }) => refused.map(({ event: { offset } }) => offset),
    ({ code }: AiosError) => code,
  );
