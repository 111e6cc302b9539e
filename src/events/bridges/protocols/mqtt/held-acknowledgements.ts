import type { MqttClient, Packet } from 'mqtt';

type Sent = (error?: Error) => void;

/** The way of every packet that a client sends; the library has no other place to keep an acknowledgement back while it goes on reading. */
interface Sending {
  _sendPacket(packet: Packet, sent?: Sent, ...more: unknown[]): void;
}

/**
 * Keeps the acknowledgements (PUBACK) of a client back until the messages are committed, in the order in which they came. The client reads on
 * until so many are held as it is bound to; the rest waits in the connection, and with it whatever else the broker says.
 */
export class HeldAcknowledgements {
  #max = Number.POSITIVE_INFINITY;
  readonly #held: { packet: Packet; sent: Sent | undefined }[] = [];
  #send: Sending['_sendPacket'] = () => {};
  #isConnected = () => false;

  attach(client: MqttClient): void {
    const sending = client as unknown as Sending;
    this.#send = sending._sendPacket.bind(client);
    this.#isConnected = () => client.connected;
    sending._sendPacket = (packet, sent, ...more) => {
      if (packet.cmd !== 'puback') return this.#send(packet, sent, ...more);
      const isFull = this.#held.length + 1 >= this.#max;
      this.#held.push({ packet, sent: isFull ? sent : undefined });
      if (!isFull) sent?.();
    };
  }

  /** Not before the subscriptions are answered: the answer may come after many messages. */
  bind(max: number): void {
    this.#max = max;
  }

  /** Sends the first so many; none of a connection that has ended. */
  release(count: number): void {
    const released = this.#held.splice(0, count);
    if (this.#isConnected()) for (const { packet, sent } of released) this.#send(packet, sent);
  }
}
