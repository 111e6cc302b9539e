import type { Socket } from 'node:net';
import type { MqttClient } from 'mqtt';

/**
 * Hurries the answers of a broker that leaves them to Nagle's algorithm, as mosquitto does: it holds all but the first back until our kernel acknowledges that one, 40 ms later,
 * or with whatever we send. Where answers are awaited and nothing is to be sent it is a message for nobody, to which there is no answer: that of a ping would be what the others wait
 * behind.
 *
 * @param topic that nobody reads, and that may be written to
 * @param isAwaiting whether answers are still to come
 * @example hurryAnswers(client, 'aios-bridge:orders/nobody', () => unanswered > 0)
 */
export function hurryAnswers(client: MqttClient, topic: string, isAwaiting: () => boolean): void {
  const socket = client.stream as unknown as Socket;
  let isDue = false;
  client.on('packetreceive', () => {
    if (isDue) return;
    isDue = true;
    const written = socket.bytesWritten;
    setImmediate(() => {
      isDue = false;
      if (client.connected && isAwaiting() && socket.bytesWritten === written)
        client.publish(topic, '', { qos: 0 }, () => {});
    });
  });
}
