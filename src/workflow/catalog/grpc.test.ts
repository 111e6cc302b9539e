// biome-ignore-all lint/suspicious/noTemplateCurlyInString: flows hold expressions in ${ … }
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PROTOS, serveOrders } from '../../connectors/grpc-under-test.ts';
import { STORES } from '../engine/stores-under-test.ts';
import { CallsUnderTest } from './calls-under-test.ts';

describe.each(STORES)('call: grpc over %s', (_, open) => {
  let remote: Awaited<ReturnType<typeof serveOrders>>;
  let subject: CallsUnderTest;
  const flow = (method: string, members = '', service = `host: 127.0.0.1, port: ${remote.port}`) =>
    `do: [ { g: { call: grpc, with: { proto: { endpoint: resources/shop/orders.proto }, service: { name: shop.Orders, ${service} }, method: ${method}, ${members} } } } ]`;

  beforeAll(async () => {
    remote = await serveOrders();
    subject = await CallsUnderTest.open(open);
    Object.assign(subject.files, PROTOS);
  });
  afterAll(async () => {
    await subject.close();
    remote.close();
  });
  beforeEach(() => {
    remote.placed.length = 0;
    remote.metadata.length = 0;
    subject.audited.length = 0;
  });

  it('acts: arguments and answer as JSON has them, one key, one audit entry', async () => {
    const { result, kept } = await subject.run(
      flow(
        'Place',
        "arguments: { id: '${ input.id }', customer_name: Ada, lines: [ { currency: EUR, amount: 2.5 } ], state: PAID, note: aGk= }",
      ),
      { id: '9007199254740993' },
    );
    expect(result).toEqual({
      output: {
        order_id: '9007199254740993',
        total: { currency: 'EUR', amount: 2.5 },
        at: { seconds: '5', nanos: 0 },
        state: 'PAID',
      },
    });
    expect(remote.placed).toMatchObject([
      { id: '9007199254740993', lines: [{ currency: 'EUR', amount: 2.5 }], state: 'PAID', note: 'aGk=' },
    ]);
    const { payload, action } = subject.audited[0]!;
    expect([action, payload.path, payload.host]).toEqual(['grpc.call', '/shop.Orders/Place', '127.0.0.1']);
    expect(remote.metadata[0]!.get('idempotency-key')).toEqual([payload.idempotencyKey]);
    expect(kept).not.toContain('descriptors');
  });

  it('reads by a method that says that it has no side effects: no audit entry', async () => {
    expect((await subject.run(flow('Find', 'arguments: { count: 7 }'))).result).toMatchObject({
      output: { order_id: '7' },
    });
    expect(subject.audited).toEqual([]);
  });

  it('the output of a method that answers a stream is the list of its messages', async () => {
    expect((await subject.run(flow('Watch', 'arguments: { count: 3 }'))).result).toMatchObject({
      output: [{ order_id: '1' }, { order_id: '2' }, { order_id: '3' }],
    });
  });

  it('credentials arrive and are kept nowhere, though the service echoes them', async () => {
    const { result, kept } = await subject.run(
      `use: { secrets: [ TOKEN ] }\n${flow('Place', 'arguments: { customer_name: nobody }', `host: 127.0.0.1, port: ${remote.port}, authentication: { bearer: { use: TOKEN } }`)}`,
    );
    expect(remote.metadata[0]!.get('authorization')).toEqual(['Bearer s3cret-token']);
    expect(result!.error).toMatchObject({
      status: 404,
      type: expect.stringMatching('communication$'),
      detail: expect.stringContaining('Bearer ***'),
    });
    expect(kept).not.toContain('s3cret-token');
  });

  it('a service that is busy may be asked again; one that does not answer may have done it', async () => {
    expect(
      (await subject.run(flow('Place', 'arguments: { customer_name: busy }'))).result!.error,
    ).toMatchObject({ status: 503 });
    const slow = new CallsUnderTest(subject.fixture, [], 'httpCallMs=200');
    Object.assign(slow.files, PROTOS);
    await slow.begin();
    const { result } = await slow.run(flow('Place', 'arguments: { customer_name: never }'));
    expect(result!.error).toMatchObject({ code: 'connectors.outcome_unknown' });
    await slow.stop();
  });

  it('a service that is not there was sent nothing; a private address is refused, by name or number', async () => {
    const gone = await serveOrders();
    gone.close();
    const at = async (service: string) => (await subject.run(flow('Place', '', service))).result!.error;
    expect(await at(`host: 127.0.0.1, port: ${gone.port}`)).toMatchObject({ code: 'connectors.unreachable' });
    for (const host of ['localhost', '10.0.0.1', '"::1"', '"http://169.254.169.254"'])
      expect(await at(`host: ${host}, port: ${remote.port}`)).toMatchObject({
        code: 'connectors.egress_refused',
      });
    expect(remote.placed).toEqual([]);
  });

  it.each([
    ['a method that the service lacks', flowOf('shop.Orders', 'Burn'), /no method “Burn”; it has Place/],
    [
      'a service that the file lacks',
      flowOf('shop.Sales', 'Place'),
      /no service “shop.Sales”; it has shop.Orders/,
    ],
    ['a method that is sent a stream', flowOf('shop.Orders', 'Send'), /is sent a stream/],
    [
      'a file that is none',
      flowOf('shop.Orders', 'Place', 'resources/none.proto'),
      /not a file of protocol buffers/,
    ],
  ])('%s is refused when the flow is applied', async (_what, text, message) => {
    subject.files['resources/none.proto'] = 'servize X {';
    const refused = subject.run(text);
    await expect(refused).rejects.toMatchObject({
      code: 'definition.invalid',
      issues: [{ path: '/do/0/g/with/proto/endpoint' }],
    });
    await expect(refused).rejects.toThrow(message);
  });
});

function flowOf(service: string, method: string, proto = 'resources/shop/orders.proto'): string {
  return `do: [ { g: { call: grpc, with: { proto: { endpoint: ${proto} }, service: { name: ${service}, host: a.example }, method: ${method} } } } ]`;
}
