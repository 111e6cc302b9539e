import type { ChannelModel } from 'amqplib';
import { AiosError } from '../../../../kernel/errors.ts';

/**
 * Refuses a queue that goes away with its reader, and takes along what nobody has read: an `auto-delete` one when its last consumer ends, as it does with each new connection, change of
 * the prefetch, restart, or move to another process. AMQP tells nothing of a queue but whether it is as one declares it; who may not declare is not told.
 *
 * @throws AiosError `bridges.refused`
 */
export async function requireLasting(connection: ChannelModel, queue: string): Promise<void> {
  for (const durable of [true, false]) {
    const fault = await declarationFault(connection, queue, durable);
    if (fault.includes("arg 'auto_delete'"))
      throw new AiosError('bridges.refused', {
        detail: `${queue}: the queue is auto-delete: it would go away, with the messages in it, whenever the bridge connects anew. Declare one that is not, and bind it to the same exchange.`,
      });
    if (!fault.includes("arg 'durable'")) return; // what is wrong with the rest comes behind both
  }
}

/** What the broker says to a queue that is not declared as it is; a text without it where there is none, or it is as it is declared. */
async function declarationFault(connection: ChannelModel, queue: string, durable: boolean): Promise<string> {
  const channel = await connection.createChannel();
  channel.on('error', () => {}); // the call says it
  try {
    await channel.checkQueue(queue); // declared, one that is not there would be made
    await channel.assertQueue(queue, { durable, autoDelete: false });
    await channel.close();
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}
