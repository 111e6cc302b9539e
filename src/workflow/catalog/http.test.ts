// biome-ignore-all lint/suspicious/noTemplateCurlyInString: flows hold expressions in ${ … }
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CallSecrets } from '../../connectors/call-secrets.ts';
import { HttpCalls } from '../../connectors/http-calls.ts';
import { Outgoing } from '../../connectors/outgoing.ts';
import { json, Remote } from '../../connectors/remote-under-test.ts';
import { digestOf } from '../../kernel/canonical.ts';
import { ManualClock } from '../../kernel/clock.ts';
import { readDocument } from '../../kernel/document.ts';
import type { JsonObject } from '../../kernel/json.ts';
import { limitsFrom } from '../../kernel/limits.ts';
import { type Lane, write } from '../../store/lane.ts';
import { WorkflowEngine } from '../engine/engine.ts';
import { MemoryRunStore } from '../engine/memory-store.ts';
import { compileFlow } from '../language/compile.ts';
import { runJq } from '../language/jq-evaluator.ts';
import { httpPrimitives } from './http.ts';
import { catalogOf } from './primitive.ts';

describe('call: http', () => {
  const remote = new Remote();
  const audited: { action: string; payload: JsonObject }[] = [];
  const lane: Lane<unknown> = { name: 'audit', order: 1, write: async () => undefined };
  let outgoing: Outgoing;
  let engine: WorkflowEngine;
  let version = 0;
  const secrets = new CallSecrets((_, name) => ({ TOKEN: 's3cret-token', LOGIN: 'ada:s3cret-word' })[name]);
  const catalog = () =>
    catalogOf(
      httpPrimitives(new HttpCalls(outgoing), secrets, (entry) => {
        audited.push(entry as never);
        return write(lane, entry);
      }),
    );

  beforeAll(async () => {
    await remote.listen();
    const limits = limitsFrom('runPollMs=20');
    outgoing = new Outgoing({ limits, allowPrivate: ['127.0.0.1'] });
    engine = new WorkflowEngine({
      store: new MemoryRunStore(),
      catalog: catalog(),
      clock: new ManualClock(0),
      limits,
      findDefinition: async () => undefined,
    });
    await engine.begin();
  });
  afterAll(async () => {
    await engine.stop();
    remote.close();
    await outgoing.close();
  });
  beforeEach(() => {
    remote.seen.length = 0;
    audited.length = 0;
  });

  const flowOf = (text: string) =>
    readDocument(
      `document: { dsl: '1.0.3', namespace: test, name: calls, version: '1.0.0' }\nevaluate: { language: cel }\n${text}`,
      'calls.yaml',
    ).value;

  async function run(text: string, input: JsonObject = {}) {
    const body = flowOf(text.replaceAll('BASE', `http://127.0.0.1:${remote.port}`));
    engine.put({ name: 'calls', version: ++version, digest: digestOf(body), body });
    return (await engine.run({ workflow: 'calls', input }, 5_000)).result;
  }

  it('reads: the content is the output, and no audit entry is made', async () => {
    remote.respond = (response) => void json(response, 200, { pets: ['Milou'] });
    const result = await run(
      "do: [ { get: { call: http, with: { method: get, endpoint: 'BASE/pets/${ input.id }', query: { full: '${ true }' } } } } ]",
      { id: 7 },
    );
    expect(result).toMatchObject({ output: { pets: ['Milou'] } });
    expect(remote.seen[0]).toMatchObject({ method: 'GET', url: '/pets/7?full=true' });
    expect(audited).toEqual([]);
  });

  it('acts: everything is durable before, and it is an audit entry with its key', async () => {
    remote.respond = (response) => void json(response, 201, { id: 1 });
    const result = await run(
      "do: [ { add: { call: http, with: { method: post, endpoint: { uri: BASE/pets }, body: { name: '${ input.name }' }, output: response } } } ]",
      { name: 'Milou' },
    );
    expect(result).toMatchObject({
      output: { statusCode: 201, content: { id: 1 }, request: { method: 'POST' } },
    });
    expect(audited).toMatchObject([{ action: 'http.post', payload: { status: 201 } }]);
    expect(remote.seen[0]!.headers['idempotency-key']).toBe(`"${audited[0]!.payload.idempotencyKey}"`);
  });

  it('the content has whole numbers to the digit: one that a double would change is a text', async () => {
    remote.respond = (response) =>
      void response.writeHead(200, { 'content-type': 'application/json' }).end('[9007199254740993,1.5]');
    const result = await run('do: [ { get: { call: http, with: { method: GET, endpoint: BASE/ } } } ]');
    expect(result).toEqual({ output: ['9007199254740993', 1.5] });
  });

  it('raw is the content in base64', async () => {
    remote.respond = (response) => void response.end('text');
    const result = await run(
      'do: [ { get: { call: http, with: { method: GET, endpoint: BASE/, output: raw } } } ]',
    );
    expect(result).toEqual({ output: Buffer.from('text').toString('base64') });
  });

  it('fails with the status of the answer, and a try may take it', async () => {
    remote.respond = (response) => void json(response, 404, {});
    const error = await run('do: [ { get: { call: http, with: { method: GET, endpoint: BASE/none } } } ]');
    expect(error).toMatchObject({
      error: {
        type: 'https://serverlessworkflow.io/spec/1.0.0/errors/communication',
        status: 404,
        instance: '/do/0/get',
      },
    });
    const caught = await run(
      'do: [ { t: { try: [ { get: { call: http, with: { method: GET, endpoint: BASE/none } } } ], catch: { errors: { with: { status: 404 } }, do: [ { c: { set: { found: false } } } ] } } } ]',
    );
    expect(caught).toEqual({ output: { found: false } });
  });

  it('credentials that are written out are refused when the flow is applied', () => {
    const flow = flowOf(
      'do: [ { get: { call: http, with: { method: GET, endpoint: { uri: https://example.org, authentication: { basic: { username: a, password: b } } } } } } ]',
    );
    expect(() => compileFlow(flow, catalog(), runJq)).toThrow(
      expect.objectContaining({ code: 'definition.invalid' }),
    );
  });
});
