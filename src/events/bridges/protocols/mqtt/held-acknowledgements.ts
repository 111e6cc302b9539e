import type { IPublishPacket, MqttClient, Packet } from 'mqtt';

type Sent = (error?: Error) => void;

/** The way of every packet that a client sends; the library has no other place to keep an acknowledgement back while it goes on reading. */
interface Sending {
  _sendPacket(packet: Packet, sent?: Sent, ...more: unknown[]): void;
}

/** What may be held at once; one message comes on top of the bytes. */
interface Bounds {
  readonly messages: number;
  readonly bytes: number;
}

/**
 * Keeps the acknowledgements (PUBACK) of a client back until the messages are committed, in the order in which they came. The client reads on until so many messages or
 * bytes are held as the bounds say; the rest waits in the connection, and with it whatever else the broker says.
 */
export class HeldAcknowledgements {
  #bounds: Bounds = { messages: 0, bytes: 0 };
  readonly #held: { packet: Packet; sent: Sent | undefined }[] = [];
  #messages = 0;
  #bytes = 0;
  /** Reads on behind a message of QoS 0, which has no acknowledgement. */
  #readOn: (() => void) | undefined;
  #send: Sending['_sendPacket'] = () => {};
  #isConnected = () => false;

  attach(client: MqttClient, bounds: Bounds): void {
    this.#bounds = bounds;
    const sending = client as unknown as Sending;
    this.#send = sending._sendPacket.bind(client);
    this.#isConnected = () => client.connected;
    sending._sendPacket = (packet, sent, ...more) => {
      if (packet.cmd !== 'puback') return this.#send(packet, sent, ...more);
      const isFull = this.#isFull();
      this.#held.push({ packet, sent: isFull ? sent : undefined });
      if (!isFull) sent?.();
    };
    client.handleMessage = (packet, done) => {
      this.#messages++;
      this.#bytes += packet.payload.length;
      if (packet.qos === 0 && this.#isFull()) this.#readOn = done;
      else done();
    };
  }

  /** Sends the acknowledgements of the messages that came first; none of a connection that has ended. */
  release(messages: readonly IPublishPacket[]): void {
    this.#messages -= messages.length;
    for (const { payload } of messages) this.#bytes -= payload.length;
    const released = this.#held.splice(0, messages.filter(({ qos }) => qos > 0).length);
    if (!this.#isConnected()) return;
    for (const { packet, sent } of released) this.#send(packet, sent);
    if (!this.#readOn || this.#isFull()) return;
    const readOn = this.#readOn;
    this.#readOn = undefined;
    readOn();
  }

  #isFull(): boolean {
    return this.#messages >= this.#bounds.messages || this.#bytes >= this.#bounds.bytes;
  }
}
