import { InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { idMaker } from '../kernel/ids.ts';
import { startTelemetry } from '../telemetry/telemetry.ts';
import { type InferUnderTest, message, openInferUnderTest, Wire } from './infer-under-test.ts';

const OURS = /^req_[0-9a-z]{32}$/;

describe('the id of a request', () => {
  let door: InferUnderTest;
  beforeAll(async () => {
    door = await openInferUnderTest('requestIdCharsMax=20');
  });
  afterAll(() => door.close());

  /** By the lean door, by the door on an ordinary connection, and by the framework. */
  async function answers(headers: Record<string, string>, url = '/v2/models/double/infer') {
    const lean = new Wire(door.port).write(message({ headers, url }));
    const ordinary = new Wire(door.port).write(message({ method: 'GET', url: '/v2', headers }));
    const found = [(await lean.answer())!, (await ordinary.answer())!];
    ordinary.write(message({ headers, url }));
    found.push((await ordinary.answer())!);
    for (const wire of [lean, ordinary]) wire.socket.destroy();
    return found;
  }
  const idsOf = async (headers: Record<string, string>) =>
    (await answers(headers)).map((answer) => answer.headers['x-request-id']);

  it('is that of its caller, on every door', async () => {
    expect(await idsOf({ 'x-request-id': 'a.B-9_:~+/=@x' })).toEqual(Array(3).fill('a.B-9_:~+/=@x'));
    expect(await idsOf({ 'X-Request-Id': 'x'.repeat(20) })).toEqual(Array(3).fill('x'.repeat(20)));
  });

  it('is made where there is none, or none that goes into headers and logs as it is', async () => {
    for (const wrong of [{}, ...['', 'x'.repeat(21), 'a b', 'a,b', '"a"', 'a;b', '{a}'].map(idHeader)])
      for (const id of await idsOf(wrong)) expect(id).toMatch(OURS);
  });

  it('is cut out of a head for whom it is another one each time, and is left to node where there are two', async () => {
    const urls: string[] = [];
    const note = ({ url }: { url?: string }) => void urls.push(url!);
    door.server.server.on('request', note);
    const wire = new Wire(door.port);
    for (const name of ['x-request-id', 'X-Request-ID', 'X-REQUEST-ID', 'X-Request-Id'])
      for (const id of ['one', 'two']) {
        const answer = (await wire.write(message({ headers: { [name]: id } })).answer())!;
        expect([answer.status, answer.headers['x-request-id']]).toEqual([200, id]);
      }
    expect(urls).toEqual([]);
    const twice = (await wire
      .write(message({ headers: { 'x-request-id': 'a', 'X-REQUEST-ID': 'two' } }))
      .answer())!;
    expect([twice.status, twice.headers['x-request-id']]).toEqual([200, expect.stringMatching(OURS)]);
    expect(urls).toEqual(['/v2/models/double/infer']);
    door.server.server.off('request', note);
    wire.socket.destroy();
  });

  it('is another one for each request of a connection', async () => {
    const wire = new Wire(door.port);
    const ids = new Set<string | undefined>();
    for (let i = 0; i < 50; i++) ids.add((await wire.write(message({})).answer())?.headers['x-request-id']);
    wire.socket.destroy();
    expect(ids.size).toBe(50);
  });

  it('is in the problem that answers it, and with the fault', async () => {
    const wire = new Wire(door.port);
    const known = door.faultIds.length;
    for (const request of [
      { url: '/v2/models/broken/infer', headers: idHeader('lean-1') },
      { url: '/v2/nowhere', headers: idHeader('route-1') },
      { url: '/v2/models/broken/infer', headers: idHeader('door-1') },
    ]) {
      const answer = (await wire.write(message(request)).answer())!;
      const told = request.headers['x-request-id'];
      expect([answer.headers['x-request-id'], JSON.parse(answer.body.toString()).requestId]).toEqual([
        told,
        told,
      ]);
    }
    wire.socket.destroy();
    expect(door.faultIds.slice(known)).toEqual(['lean-1', 'door-1']);
  });

  it('stands on the answer to a large body that is refused, and to an address that is none', async () => {
    const large = new Wire(door.port).write(
      message({ key: '', headers: idHeader('large'), body: 'x'.repeat(100_000) }),
    );
    expect((await large.answer())?.headers).toMatchObject({ 'x-request-id': 'large' });
    const wrong = new Wire(door.port).write(
      message({ method: 'GET', url: '/%zz', headers: idHeader('odd') }),
    );
    const answer = (await wrong.answer())!;
    expect([answer.status, answer.headers['x-request-id']]).toEqual([400, 'odd']);
    expect(JSON.parse(answer.body.toString())).toMatchObject({ code: 'request.invalid', requestId: 'odd' });
    for (const wire of [large, wrong]) wire.socket.destroy();
  });
});

describe('a request that is traced', () => {
  it('has its id on its span, and the trace in its problem', async () => {
    const exporter = new InMemorySpanExporter();
    const telemetry = startTelemetry('test', [new SimpleSpanProcessor({ exporter })]);
    const door = await openInferUnderTest();
    try {
      const traceId = '0af7651916cd43dd8448eb211c80319c';
      const headers = { ...idHeader('mine'), traceparent: `00-${traceId}-b7ad6b7169203331-01` };
      const wire = new Wire(door.port);
      for (const url of ['/v2/models/none/infer', '/v2/open/none', '/v2/models/none/infer']) {
        const answer = (await wire.write(message({ url, headers })).answer())!;
        expect(JSON.parse(answer.body.toString())).toMatchObject({ requestId: 'mine', traceId });
      }
      wire.socket.destroy();
      const spans = exporter
        .getFinishedSpans()
        .map(({ attributes }) => attributes['http.response.header.x-request-id']);
      expect(spans).toEqual([['mine'], ['mine'], ['mine']]);
    } finally {
      await door.close();
      await telemetry.stop();
    }
  });
});

describe('ids that are made for requests', () => {
  it('differ, do not tell how many there were, and begin anew when they are used up', () => {
    const next = idMaker('req');
    const ids = Array.from({ length: 10_000 }, next);
    expect(new Set(ids).size).toBe(10_000);
    for (const id of ids) expect(id).toMatch(OURS);
    const sorted = [...ids].sort();
    expect(ids).not.toEqual(sorted);
    expect(idMaker('req')()).not.toBe(ids[0]);
  });
});

function idHeader(id: string): { 'x-request-id': string } {
  return { 'x-request-id': id };
}
