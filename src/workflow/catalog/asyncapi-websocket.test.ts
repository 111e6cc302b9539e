// biome-ignore-all lint/suspicious/noTemplateCurlyInString: flows hold expressions in ${ … }
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { WebSocketRemote } from '../../connectors/websocket-under-test.ts';
import { STORES } from '../engine/stores-under-test.ts';
import { CallsUnderTest } from './calls-under-test.ts';

const DOCUMENT = (port: number) => ({
  asyncapi: '3.0.0',
  servers: {
    socket: {
      host: '{name}:{port}',
      pathname: '/v1/',
      protocol: 'ws',
      variables: { name: { default: '127.0.0.1' }, port: { default: String(port) } },
    },
  },
  channels: { chat: { address: 'chat' } },
  operations: {
    say: { action: 'send', channel: { $ref: '#/channels/chat' } },
    hear: { action: 'receive', channel: { $ref: '#/channels/chat' } },
  },
});

describe.each(STORES)('call: asyncapi with WebSocket over %s', (_, open) => {
  const remote = new WebSocketRemote();
  let subject: CallsUnderTest;
  const call = (operation: string, members: string) =>
    `do: [ { a: { call: asyncapi, with: { document: { endpoint: resources/chat.json }, operation: ${operation}, ${members} } } } ]`;
  const say = (members: string) => call('say', members);
  const hear = (subscription: string) => call('hear', `subscription: { ${subscription} }`);

  beforeAll(async () => {
    await remote.listen();
    subject = await CallsUnderTest.open(open);
    subject.files['resources/chat.json'] = JSON.stringify(DOCUMENT(remote.port));
  });
  afterAll(async () => {
    await subject.close();
    remote.close();
  });
  beforeEach(() => {
    remote.received.length = 0;
    remote.handshakes.length = 0;
    remote.refuses = undefined;
    remote.greet = () => {};
    subject.audited.length = 0;
  });

  it('publishes a frame, as an audit entry, with its credentials in the handshake, which are kept nowhere', async () => {
    const { result, kept } = await subject.run(
      `use: { secrets: [ TOKEN ] }\n${say("message: { payload: { hello: '${ input.who }' } }, authentication: { bearer: { token: '${ $secrets.TOKEN }' } }")}`,
      { who: 'Ada' },
    );
    expect(result).toEqual({ output: null });
    expect(remote.received).toEqual(['{"hello":"Ada"}']);
    expect(remote.handshakes).toMatchObject([
      { url: '/v1/chat', headers: { authorization: 'Bearer s3cret-token' } },
    ]);
    expect(subject.audited).toMatchObject([
      { action: 'asyncapi.publish', payload: { channel: 'chat', protocol: 'ws' } },
    ]);
    expect(kept).not.toContain('s3cret-token');
  });

  it('subscribes: messages in their order, those too that come with the handshake, until there are enough', async () => {
    remote.greet = () => [1, 2, 3, 4].forEach((n) => void remote.send(JSON.stringify({ n })));
    const { result } = await subject.run(hear("filter: '${ input.payload.n > 1 }', consume: { amount: 2 }"));
    expect(result).toEqual({
      output: [
        { payload: { n: 2 }, headers: {} },
        { payload: { n: 3 }, headers: {} },
      ],
    });
    expect(subject.audited).toEqual([]);
  });

  it('iterates messages while they come: the second is sent in answer to what was done with the first', async () => {
    remote.greet = () => {
      remote.greet = () => {};
      remote.send('"ping"');
    };
    const watch = setInterval(() => {
      if (remote.received.length > 0) remote.send(JSON.stringify(`after ${remote.received.shift()}`));
    }, 5);
    const reply = `{ reply: { call: asyncapi, with: { document: { endpoint: resources/chat.json }, operation: say, message: { payload: '\${ "got " + item.payload }' } } } }`;
    const text = `evaluate: { language: jq }\n${hear(`consume: { amount: 2 }, foreach: { do: [ ${reply.replace('"got " + item.payload', '"got " + $item.payload')} ], output: { as: '\${ $item.payload }' } }`)}`;
    const { result } = await subject.run(text);
    clearInterval(watch);
    expect(result).toEqual({ output: ['ping', 'after got ping'] });
  });

  it('ends with its time, which is no error', async () => {
    const { result } = await subject.run(hear('consume: { amount: 3, for: PT0.1S }'));
    expect(result).toEqual({ output: [] });
    const each = await subject.run(hear('consume: { amount: 3, for: PT0.1S }, foreach: { item: m }'));
    expect(each.result).toEqual({ output: [] });
  });

  it('a server that refuses, ends the connection, is not there or must not be reached', async () => {
    const at = async (variables: string) =>
      (
        await subject.run(
          say(`message: { payload: 1 }, server: { name: socket, variables: { ${variables} } }`),
        )
      ).result!.error;
    expect(await at("port: '1'")).toMatchObject({ code: 'connectors.unreachable' });
    expect(await at('name: localhost')).toMatchObject({ code: 'connectors.egress_refused' });
    expect(await at('name: 169.254.169.254')).toMatchObject({ code: 'connectors.egress_refused' });
    remote.refuses = 403;
    expect((await subject.run(say('message: { payload: 1 }'))).result!.error).toMatchObject({
      code: 'connectors.unreachable',
    });
    remote.refuses = undefined;
    expect(remote.received).toEqual([]);
    remote.greet = (socket) => socket.destroy();
    expect((await subject.run(hear('consume: { amount: 1 }'))).result!.error).toMatchObject({
      code: 'connectors.failed',
    });
    const each = await subject.run(hear('consume: { amount: 1 }, foreach: { item: m }'));
    expect(each.result!.error).toMatchObject({ code: 'connectors.failed' });
  });

  it('headers are refused: a frame has none', async () => {
    const { result } = await subject.run(say('message: { payload: 1, headers: { a: b } }'));
    expect(result!.error).toMatchObject({ code: 'connectors.input_invalid' });
  });
});
