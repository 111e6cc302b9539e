import type { ChannelModel, ConfirmChannel } from 'amqplib';
import type { LoggedEvent } from '../../../../kernel/cloudevent.ts';
import { AiosError } from '../../../../kernel/errors.ts';
import { derivedId } from '../../../../kernel/ids.ts';
import type { JsonObject } from '../../../../kernel/json.ts';
import type { EventSink } from '../../port/event-source.ts';
import type { SinkContext } from '../../port/protocol.ts';
import { type AmqpServer, amqpFailure, connectAmqp } from './amqp-connection.ts';

interface Settings extends AmqpServer {
  readonly queue?: string;
  readonly exchange?: string;
  readonly routingKey?: string;
}

interface Open {
  readonly connection: ChannelModel;
  readonly channel: ConfirmChannel;
  /** What the broker could bring to no queue. */
  readonly returned: string[];
}

/**
 * Publishes persistent messages and waits until the broker has taken each. The message id is that of the event: an event that is sent again, after a crash, has
 * the same, so that its receiver knows it.
 */
export function amqpSink(context: SinkContext, settings: JsonObject): EventSink {
  const server = settings as unknown as Settings;
  const place = server.queue ?? server.exchange!;
  let opening: Promise<Open> | undefined;
  const forget = async () => {
    const gone = opening;
    opening = undefined;
    await gone?.then(({ connection }) => connection.close()).catch(() => {});
  };
  return {
    group: context.group,
    async deliver(events) {
      opening ??= open(context, server);
      try {
        const { channel, returned } = await opening;
        returned.length = 0;
        for (const event of events) publish(channel, event, context, server);
        await channel.waitForConfirms();
        if (returned.length > 0)
          throw new AiosError('bridges.failed', {
            detail: `${place}: no queue is bound for ${returned.length} messages, of the routing key “${returned[0]}”.`,
          });
        context.answered();
        return { undone: [] };
      } catch (error) {
        await forget();
        throw amqpFailure(error, place, server.tls);
      }
    },
    close: forget,
  };
}

async function open(context: SinkContext, server: Settings): Promise<Open> {
  const connection = await connectAmqp(context, server);
  const channel = await connection.createConfirmChannel();
  const returned: string[] = [];
  channel.on('return', ({ fields }) => returned.push(String(fields.routingKey)));
  channel.on('error', () => {}); // what waits for its confirmation is told
  return { connection, channel, returned };
}

function publish(
  channel: ConfirmChannel,
  { event }: LoggedEvent,
  { encode }: SinkContext,
  { queue, exchange = '', routingKey = queue ?? event.type }: Settings,
): void {
  const { value, headers, contentType } = encode(event);
  channel.publish(exchange, routingKey, value, {
    ...{ headers, mandatory: true, persistent: true, type: event.type },
    messageId: derivedId('msg', event.source, event.id),
    timestamp: Math.floor(Date.parse(event.time) / 1000),
    ...(contentType ? { contentType } : {}),
  });
}
