import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { event } from '../../../event-under-test.ts';
import { openSink } from '../protocol-under-test.ts';
import { mqttProtocol } from './mqtt-protocol.ts';

/** Messages that a sink has on their way at once. */
const WINDOW = 100;
const [CONNECT, PUBLISH] = [1, 3];
const CONNACK = Buffer.from([0x20, 2, 0, 0]);
const acknowledged = (id: number) => Buffer.from([0x40, 2, id >> 8, id & 0xff]);

/** A broker of MQTT 3.1.1 that answers the first message at once, and the others only when one more than a window has arrived. */
class HoldingBroker {
  arrived = 0;
  #socket: Socket;
  #buffer = Buffer.alloc(0);
  #held: number[] = [];

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (bytes) => this.#read(bytes)).on('error', () => {});
  }

  #read(bytes: Buffer): void {
    this.#buffer = Buffer.concat([this.#buffer, bytes]);
    for (;;) {
      // Two bytes of length are enough for what a test sends.
      const isLong = (this.#buffer[1] ?? 0) >= 0x80;
      const head = isLong ? 3 : 2;
      if (this.#buffer.length < head) return;
      const length = (this.#buffer[1]! & 0x7f) + (isLong ? this.#buffer[2]! * 128 : 0);
      if (this.#buffer.length < head + length) return;
      this.#take(this.#buffer[0]! >> 4, this.#buffer.subarray(head, head + length));
      this.#buffer = this.#buffer.subarray(head + length);
    }
  }

  #take(kind: number, body: Buffer): void {
    if (kind === CONNECT) this.#socket.write(CONNACK);
    if (kind !== PUBLISH) return;
    this.arrived++;
    this.#held.push(body.readUInt16BE(2 + body.readUInt16BE(0)));
    if (this.arrived === 1 || this.arrived > WINDOW)
      for (const id of this.#held.splice(0)) this.#socket.write(acknowledged(id));
  }
}

describe('the window of an MQTT sink', () => {
  const brokers: HoldingBroker[] = [];
  let server: Server;
  beforeAll(async () => {
    server = createServer((socket) => brokers.push(new HoldingBroker(socket))).listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterAll(() => void server.close());

  it('moves on with the first answer, rather than when all are there', async () => {
    const broker = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const sink = openSink(mqttProtocol, { broker, topic: 'orders', version: '3.1.1', placeInBroker: false });
    const events = Array.from({ length: WINDOW + 1 }, (_, offset) => ({
      ...{ partition: 0, offset, timeMs: 0, recordedAtMs: 0, event: event(`w${offset}`) },
    }));
    expect(await sink.deliver(events)).toEqual({ undone: [], refused: [] });
    expect(brokers.map(({ arrived }) => arrived)).toEqual([WINDOW + 1]);
    await sink.close?.();
  });
});
