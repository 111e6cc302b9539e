import type { CloudEvent } from '../../../kernel/cloudevent.ts';
import type { JsonObject } from '../../../kernel/json.ts';
import type { RejectedMessage, SourceBatch } from '../port/event-source.ts';
import type { IncomingMessage, SourceContext } from '../port/protocol.ts';

/** The messages of a batch as events, those that are none apart, and the place after them. */
export function decodedBatch(
  context: Pick<SourceContext, 'decode'>,
  messages: readonly IncomingMessage[],
  position: JsonObject,
): SourceBatch {
  const events: CloudEvent[] = [];
  const rejected: RejectedMessage[] = [];
  for (const message of messages) {
    const decoded = context.decode(message);
    if ('letter' in decoded && 'error' in decoded) rejected.push(decoded as RejectedMessage);
    else events.push(decoded as CloudEvent);
  }
  return { events, rejected, position };
}
