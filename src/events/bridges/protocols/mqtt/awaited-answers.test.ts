import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { Aedes } from 'aedes';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { event } from '../../../event-under-test.ts';
import { openSink } from '../protocol-under-test.ts';
import { mqttProtocol } from './mqtt-protocol.ts';

/** Far past what a busy machine takes to hurry an answer. */
const HOLD_MS = 2_000;
/** The length of a PUBACK. */
const FIRST_BYTES = 4;

/**
 * What Nagle's algorithm makes of a broker's answers: the first goes out, and those after it wait until the client sends something, or until its kernel acknowledges by itself, which is
 * late.
 */
class NagledConnection {
  static late = 0;
  readonly #client: Socket;
  #isAwaiting = false;
  #held = Buffer.alloc(0);
  #timer: NodeJS.Timeout | undefined;

  constructor(client: Socket, port: number) {
    this.#client = client;
    const broker = connect(port, '127.0.0.1');
    client.on('data', (bytes) => {
      broker.write(bytes);
      this.#acknowledged();
    });
    broker.on('data', (bytes) => {
      this.#held = Buffer.concat([this.#held, bytes]);
      if (!this.#isAwaiting) this.#send(FIRST_BYTES);
    });
    for (const [one, other] of [
      [client, broker],
      [broker, client],
    ] as const)
      one.on('error', () => {}).on('close', () => other.destroy());
  }

  #send(count: number): void {
    this.#isAwaiting = true;
    this.#client.write(this.#held.subarray(0, count));
    this.#held = this.#held.subarray(count);
    this.#timer = setTimeout(() => {
      if (this.#held.length > 0) NagledConnection.late++;
      this.#acknowledged();
    }, HOLD_MS);
  }

  #acknowledged(): void {
    clearTimeout(this.#timer);
    this.#isAwaiting = false;
    if (this.#held.length > 0) this.#send(this.#held.length);
  }
}

let broker: Aedes;
const servers: Server[] = [];
const listening = async (server: Server) => {
  servers.push(server.listen(0, '127.0.0.1'));
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
};
let port: number;
beforeAll(async () => {
  broker = await Aedes.createBroker();
  const behind = await listening(createServer({ noDelay: true }, broker.handle));
  port = await listening(
    createServer({ noDelay: true }, (client) => void new NagledConnection(client, behind)),
  );
});
afterAll(async () => {
  await new Promise<void>((done) => broker.close(done));
  for (const server of servers) server.close();
});

it.each([1, 2])('a sink of QoS %i does not wait for answers that wait for it', async (qos) => {
  const settings = { broker: `127.0.0.1:${port}`, topic: 'orders', version: '3.1.1', qos };
  const sink = openSink(mqttProtocol, settings, { name: `nagled-${qos}` });
  const deliver = async (first: number) =>
    sink.deliver(
      Array.from({ length: 10 }, (_, n) => ({
        ...{ partition: 0, offset: first + n, timeMs: 0, recordedAtMs: 0, event: event(`n${first + n}`) },
      })),
    );
  await deliver(0); // opens its connections
  NagledConnection.late = 0;
  for (let round = 1; round <= 10; round++) await deliver(round * 10);
  // One may be held where a machine is busy: without anything that hurries them, some of each are.
  expect(NagledConnection.late).toBeLessThan(5);
  await sink.close?.();
});
