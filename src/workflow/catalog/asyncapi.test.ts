// biome-ignore-all lint/suspicious/noTemplateCurlyInString: flows hold expressions in ${ … }
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { Aedes } from 'aedes';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { json, Remote } from '../../connectors/remote-under-test.ts';
import { STORES } from '../engine/stores-under-test.ts';
import { CallsUnderTest } from './calls-under-test.ts';

const V3 = (mqtt: number, http: number) => ({
  asyncapi: '3.0.0',
  servers: {
    broker: {
      host: '{name}:{port}',
      protocol: 'mqtt',
      variables: { name: { default: '127.0.0.1' }, port: { default: String(mqtt) } },
    },
    hooks: { host: `127.0.0.1:${http}`, pathname: '/v1', protocol: 'http' },
    stream: { host: 'kafka.example:9092', protocol: 'kafka' },
  },
  channels: {
    greetings: {
      address: 'greetings/all',
      messages: { greeting: { $ref: '#/components/messages/greeting' } },
    },
    chatter: { address: 'chatter' },
    rooms: { address: 'rooms/{room}' },
    tasks: { address: 'tasks', servers: [{ $ref: '#/servers/hooks' }] },
    topics: { address: 'topics', servers: [{ $ref: '#/servers/stream' }] },
  },
  operations: {
    greet: {
      action: 'send',
      channel: { $ref: '#/channels/greetings' },
      bindings: { mqtt: { qos: 1, retain: true } },
    },
    enter: { action: 'send', channel: { $ref: '#/channels/rooms' } },
    hear: { action: 'receive', channel: { $ref: '#/channels/chatter' } },
    open: { action: 'send', channel: { $ref: '#/channels/tasks' }, bindings: { http: { method: 'PUT' } } },
    log: { action: 'send', channel: { $ref: '#/channels/topics' } },
  },
  components: { messages: { greeting: { contentType: 'application/json' } } },
});
const V2 = (mqtt: number) => ({
  asyncapi: '2.6.0',
  servers: { broker: { url: `mqtt://127.0.0.1:${mqtt}`, protocol: 'mqtt' } },
  channels: { 'greetings/all': { publish: { bindings: { mqtt: { qos: 0 } } }, subscribe: {} } },
});

describe.each(STORES)('call: asyncapi over %s', (_, open) => {
  const remote = new Remote();
  const published: { topic: string; payload: string; qos: number; retain: boolean }[] = [];
  const logins: [unknown, unknown][] = [];
  let mute = false;
  let broker: Aedes;
  let server: Server;
  let port: number;
  let subject: CallsUnderTest;
  const flow = (operation: string, members: string, document = 'resources/v3.json') =>
    `do: [ { a: { call: asyncapi, with: { document: { endpoint: ${document} }, ${operation}, ${members} } } } ]`;
  const greet = (members: string) => flow('operation: greet', members);
  const listen = (consume: string, filter = '') =>
    flow('operation: hear', `subscription: { ${filter} consume: { ${consume} } }`);
  /** Publishes numbers until it is stopped. */
  const chatter = () => {
    let n = 0;
    const timer = setInterval(
      () =>
        broker.publish(
          {
            topic: 'chatter',
            payload: JSON.stringify({ n: n++ }),
            qos: 0,
            retain: false,
            cmd: 'publish',
            dup: false,
          },
          () => {},
        ),
      5,
    );
    return () => clearInterval(timer);
  };

  beforeAll(async () => {
    broker = await Aedes.createBroker();
    broker.authenticate = (_client, username, password, done) => {
      logins.push([username, password?.toString()]);
      if (username === 'nobody') done(Object.assign(new Error('no'), { returnCode: 5 }) as never, false);
      else done(null, true);
    };
    broker.authorizePublish = (client, packet, done) => {
      if (client && !mute)
        published.push({
          topic: packet.topic,
          payload: packet.payload.toString(),
          qos: packet.qos,
          retain: packet.retain,
        });
      if (!mute) done(null);
    };
    server = createServer((socket) => void broker.handle(socket));
    server.listen(0, '127.0.0.1');
    await Promise.all([once(server, 'listening'), remote.listen()]);
    ({ port } = server.address() as { port: number });
    subject = await CallsUnderTest.open(open);
    subject.files['resources/v3.json'] = JSON.stringify(V3(port, remote.port));
    subject.files['resources/v2.json'] = JSON.stringify(V2(port));
  });
  afterAll(async () => {
    await subject.close();
    remote.close();
    await new Promise<void>((done) => broker.close(done));
    server.close();
  });
  beforeEach(() => {
    published.length = 0;
    logins.length = 0;
    subject.audited.length = 0;
    remote.seen.length = 0;
    mute = false;
  });

  it('publishes over MQTT as the operation says, as an audit entry, with its credentials, which are kept nowhere', async () => {
    const { result, kept } = await subject.run(
      `use: { secrets: [ LOGIN ] }\n${greet("message: { payload: { hello: '${ input.who }' } }, authentication: { basic: { use: LOGIN } }")}`,
      { who: 'Ada' },
    );
    expect(result).toEqual({ output: null });
    expect(published).toEqual([{ topic: 'greetings/all', payload: '{"hello":"Ada"}', qos: 1, retain: true }]);
    expect(logins).toEqual([['ada', 's3cret-word']]);
    expect(subject.audited).toMatchObject([
      { action: 'asyncapi.publish', payload: { channel: 'greetings/all', protocol: 'mqtt' } },
    ]);
    expect(kept).not.toContain('s3cret-word');
  });

  it('a document of 2.6 by its channel', async () => {
    await subject.run(flow("channel: 'greetings/all'", 'message: { payload: plain }', 'resources/v2.json'));
    // Nobody confirms a message of QoS 0.
    await vi.waitFor(() => expect(published).toHaveLength(1));
    expect(published).toEqual([{ topic: 'greetings/all', payload: 'plain', qos: 0, retain: false }]);
  });

  it('publishes over HTTP: one request with its key', async () => {
    remote.respond = (response) => void json(response, 202, {});
    const { result } = await subject.run(
      flow('operation: open', 'message: { payload: { title: tidy }, headers: { x-kind: chore } }'),
    );
    expect(result).toEqual({ output: null });
    expect(remote.seen).toMatchObject([
      {
        method: 'PUT',
        url: '/v1/tasks',
        body: '{"title":"tidy"}',
        headers: { 'x-kind': 'chore', 'idempotency-key': expect.any(String) },
      },
    ]);
  });

  it.each([
    ['amount', () => listen('amount: 3'), 3],
    ['until, on the messages so far', () => listen("until: '${ output.size() == 2 }'"), 2],
    ['while', () => listen("while: '${ output.size() < 4 }'"), 4],
  ])('subscribes: over by %s', async (_what, text, count) => {
    const stop = chatter();
    const { result } = await subject.run(text());
    stop();
    const messages = result!.output as { payload: { n: number } }[];
    expect(messages).toHaveLength(count);
    expect(messages.map(({ payload }) => payload.n)).toEqual(
      messages.map((_message, index) => messages[0]!.payload.n + index),
    );
    expect(subject.audited).toEqual([]);
  });

  it('takes only messages that the filter accepts, in the scope of the step', async () => {
    const stop = chatter();
    const { result } = await subject.run(
      listen('amount: 2', "filter: '${ input.payload.n >= workflow.input.least }',"),
      { least: 4 },
    );
    stop();
    for (const { payload } of result!.output as { payload: { n: number } }[])
      expect(payload.n).toBeGreaterThanOrEqual(4);
  });

  it('ends with its time, which is no error', async () => {
    const { result } = await subject.run(listen('amount: 3, for: PT0.1S', 'filter: "${ false }",'));
    expect(result).toEqual({ output: [] });
  });

  it('a broker that refuses, one that is not there and one that must not be reached: nothing was published', async () => {
    const nobody = subject.run(
      `use: { secrets: [ NOBODY ] }\n${greet('message: { payload: 1 }, authentication: { basic: { use: NOBODY } }')}`,
    );
    expect((await nobody).result!.error).toMatchObject({ status: 401 });
    const at = async (variables: string) =>
      (
        await subject.run(
          greet(`message: { payload: 1 }, server: { name: broker, variables: { ${variables} } }`),
        )
      ).result!.error;
    const gone = createServer().listen(0, '127.0.0.1');
    await once(gone, 'listening');
    const { port: closed } = gone.address() as { port: number };
    gone.close();
    expect(await at(`port: '${closed}'`)).toMatchObject({ code: 'connectors.unreachable' });
    expect(await at('name: localhost')).toMatchObject({ code: 'connectors.egress_refused' });
    expect(await at('name: 169.254.169.254')).toMatchObject({ code: 'connectors.egress_refused' });
    expect(published).toEqual([]);
  });

  it('a message that the broker does not confirm is of unknown outcome', async () => {
    mute = true;
    const slow = new CallsUnderTest(subject.fixture, [], 'httpCallMs=200');
    Object.assign(slow.files, subject.files);
    await slow.begin();
    const { result } = await slow.run(greet('message: { payload: 1 }'));
    expect(result!.error).toMatchObject({ code: 'connectors.outcome_unknown' });
    await slow.stop();
  });

  it('headers are refused where the protocol has none', async () => {
    const { result } = await subject.run(greet('message: { payload: 1, headers: { a: b } }'));
    expect(result!.error).toMatchObject({
      code: 'connectors.input_invalid',
      detail: expect.stringContaining('MQTT 5'),
    });
  });

  it.each([
    [
      'a protocol that is not spoken',
      () => flow('operation: log', 'message: { payload: 1 }'),
      'workflow.unsupported',
      /“kafka” is not spoken/,
    ],
    [
      'a subscription over HTTP',
      () => flow('operation: open', 'subscription: { consume: { amount: 1 } }'),
      'workflow.unsupported',
      /Subscriptions over HTTP/,
    ],
    [
      'an operation that the document lacks',
      () => flow('operation: none', 'message: { payload: 1 }'),
      'definition.invalid',
      /no operation “none”; it has greet/,
    ],
    [
      'an address with parameters',
      () => flow('operation: enter', 'message: { payload: 1 }'),
      'definition.invalid',
      /rooms\/\{room\}/,
    ],
    [
      'a server that the document lacks',
      () => greet('server: { name: other }, message: { payload: 1 }'),
      'definition.invalid',
      /no server “other”; it has broker/,
    ],
    [
      'neither message nor subscription',
      () => flow('operation: greet', 'protocol: mqtt'),
      'definition.invalid',
      /message or a subscription/,
    ],
    [
      'a subscription without an end',
      () => flow('operation: hear', 'subscription: { consume: { for: PT1S } }'),
      'definition.invalid',
      /says when it is over/,
    ],
  ])('%s is refused when the flow is applied', async (_what, text, code, message) => {
    const refused = subject.run(text());
    await expect(refused).rejects.toMatchObject({ code });
    await expect(refused).rejects.toThrow(message);
  });
});
