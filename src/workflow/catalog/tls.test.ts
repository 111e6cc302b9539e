import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer, type Server } from 'node:tls';
import { Aedes } from 'aedes';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { trustAuthorities } from '../../connectors/authorities.ts';
import { PROTOS, serveOrders } from '../../connectors/grpc-under-test.ts';
import { testAuthority } from '../../connectors/tls-under-test.ts';
import { WebSocketRemote } from '../../connectors/websocket-under-test.ts';
import { memoryFixture } from '../engine/stores-under-test.ts';
import { CallsUnderTest } from './calls-under-test.ts';

const authority = testAuthority();

describe.skipIf(!authority)('calls over TLS to servers of an authority of one’s own (needs openssl)', () => {
  const { key, cert, caFile } = authority ?? { key: '', cert: '', caFile: '' };
  const sockets = new WebSocketRemote({ key, cert });
  const web = createServer({ key, cert }, (_, response) => response.end('hello'));
  let orders: Awaited<ReturnType<typeof serveOrders>>;
  let broker: Aedes;
  let tcp: Server;
  let subject: CallsUnderTest;
  let files: { [uri: string]: string } = {};
  const published: string[] = [];
  const portOf = (server: { address(): unknown }) => (server.address() as { port: number }).port;
  const asyncapi = (operation: string, members: string) =>
    `do: [ { a: { call: asyncapi, with: { document: { endpoint: resources/async.json }, operation: ${operation}, ${members} } } } ]`;
  const flows = {
    http: () =>
      `do: [ { a: { call: http, with: { method: get, endpoint: 'https://127.0.0.1:${portOf(web)}/' } } } ]`,
    grpc: () =>
      `do: [ { a: { call: grpc, with: { proto: { endpoint: resources/shop/orders.proto }, service: { name: shop.Orders, host: 'https://127.0.0.1', port: ${orders.port} }, method: Find, arguments: { count: 7 } } } } ]`,
    mqtt: () => asyncapi('greet', 'message: { payload: secured }'),
    webSocket: () => asyncapi('say', 'message: { payload: secured }'),
  };
  const run = async (protocol: keyof typeof flows) => (await subject.run(flows[protocol]())).result!;

  beforeAll(async () => {
    orders = await serveOrders({ key, cert });
    broker = await Aedes.createBroker();
    broker.authorizePublish = (client, packet, done) => {
      if (client) published.push(packet.payload.toString());
      done(null);
    };
    tcp = createTlsServer({ key, cert }, (socket) => void broker.handle(socket));
    tcp.on('tlsClientError', () => {});
    tcp.listen(0, '127.0.0.1');
    web.listen(0, '127.0.0.1');
    await Promise.all([once(tcp, 'listening'), once(web, 'listening'), sockets.listen()]);
    files = { ...PROTOS };
    files['resources/async.json'] = JSON.stringify({
      asyncapi: '3.0.0',
      servers: {
        broker: { host: `127.0.0.1:${portOf(tcp)}`, protocol: 'mqtts' },
        socket: { host: `127.0.0.1:${sockets.port}`, protocol: 'wss' },
      },
      channels: {
        greetings: { address: 'greetings', servers: [{ $ref: '#/servers/broker' }] },
        chat: { address: 'chat', servers: [{ $ref: '#/servers/socket' }] },
      },
      operations: {
        greet: { action: 'send', channel: { $ref: '#/channels/greetings' } },
        say: { action: 'send', channel: { $ref: '#/channels/chat' } },
      },
    });
  });
  // What is trusted counts from the start of a process.
  beforeEach(async () => {
    subject = await CallsUnderTest.open(memoryFixture);
    Object.assign(subject.files, files);
  });
  afterEach(() => subject.stop());
  afterAll(async () => {
    await subject.fixture.close();
    orders.close();
    sockets.close();
    web.close();
    tcp.close();
    await new Promise<void>((done) => broker.close(done));
  });

  it('are refused while the authority is unknown: nothing was sent', async () => {
    for (const protocol of Object.keys(flows) as (keyof typeof flows)[])
      expect([protocol, (await run(protocol)).error]).toMatchObject([
        protocol,
        { code: 'connectors.unreachable' },
      ]);
    expect([published, sockets.received, orders.metadata]).toEqual([[], [], []]);
  });

  it('are made when an operator names it', async () => {
    trustAuthorities(caFile);
    expect(await run('http')).toEqual({ output: 'hello' });
    expect(await run('grpc')).toMatchObject({ output: { order_id: '7' } });
    expect(await run('mqtt')).toEqual({ output: null });
    expect(published).toEqual(['secured']);
    expect(await run('webSocket')).toEqual({ output: null });
    expect(sockets.received).toEqual(['secured']);
  });

  it('a file that is not there, or holds none, is told at the start', () => {
    expect(() => trustAuthorities('/nowhere/ca.pem')).toThrow(/AIOS_CA_FILE \/nowhere/);
    const empty = join(tmpdir(), `aios-no-ca-${process.pid}.pem`);
    writeFileSync(empty, 'nothing');
    expect(() => trustAuthorities(empty)).toThrow(/no certificate/);
    expect(() => trustAuthorities(undefined)).not.toThrow();
  });
});
