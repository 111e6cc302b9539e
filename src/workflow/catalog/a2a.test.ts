// biome-ignore-all lint/suspicious/noTemplateCurlyInString: flows hold expressions in ${ … }
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { serveAgent } from '../../connectors/a2a-under-test.ts';
import { memoryFixture, postgresFixture } from '../engine/stores-under-test.ts';
import { compileFlow } from '../language/compile.ts';
import { runJq } from '../language/jq-evaluator.ts';
import { CallsUnderTest } from './calls-under-test.ts';

describe.each([
  ['the memory store', memoryFixture, '0.3'],
  ['the Postgres store', postgresFixture, '1.0'],
] as const)('call: a2a over %s, of an agent that speaks %3$s', (_store, open, spoken) => {
  let agent: Awaited<ReturnType<typeof serveAgent>>;
  let subject: CallsUnderTest;
  const flow = (
    members: string,
    where = `agentCard: { endpoint: 'http://127.0.0.1:${agent.port}/.well-known/agent-card.json' }`,
  ) => `do: [ { a: { call: a2a, with: { ${members}, ${where} } } } ]`;
  const message = (text: string, method = 'message/send') =>
    `method: ${method}, parameters: { message: { parts: [ { kind: text, text: '${text}' } ] } }`;
  const server = (path = '/rpc') => `server: 'http://127.0.0.1:${agent.port}${path}'`;

  beforeAll(async () => {
    agent = await serveAgent(spoken);
    subject = await CallsUnderTest.open(open);
  });
  afterAll(async () => {
    await subject.close();
    agent.close();
  });
  beforeEach(() => {
    agent.received.length = 0;
    agent.seen.length = 0;
    subject.audited.length = 0;
  });

  it('sends a message found by the card, as an audit entry; the id is that of the step', async () => {
    const { result } = await subject.run(flow(message('${ input.what }')), { what: 'hi' });
    expect(JSON.stringify(result)).toContain('echo hi');
    expect(agent.received).toEqual([{ text: 'hi', messageId: expect.stringMatching(/^[\da-f-]{36}$/) }]);
    expect(agent.seen.map(({ method }) => method)).toEqual([
      undefined,
      spoken === '1.0' ? 'SendMessage' : 'message/send',
    ]);
    expect(subject.audited).toMatchObject([{ action: 'a2a.message/send' }]);
  });

  it('streams: the output is the list of all results', async () => {
    const { result } = await subject.run(flow(message('work', 'message/stream')));
    const events = result!.output as object[];
    expect(events.length).toBeGreaterThanOrEqual(2);
    expect(JSON.stringify(events.at(-1))).toMatch(/completed/i);
  });

  it('without a card the agent is asked in the words of 0.3, and in those of 1.0 when it does not know them', async () => {
    const { result } = await subject.run(flow(message('hi'), server()));
    expect(JSON.stringify(result)).toContain('echo hi');
    expect(agent.received).toHaveLength(1);
    expect(agent.seen.map(({ method }) => method)).toEqual(
      spoken === '1.0' ? ['message/send', 'SendMessage'] : ['message/send'],
    );
  });

  it('a task is looked at without an audit entry; what the agent refuses is an error of type runtime', async () => {
    const { result } = await subject.run(flow('method: tasks/get, parameters: { id: none }'));
    expect(result!.error).toMatchObject({
      type: 'https://serverlessworkflow.io/spec/1.0.0/errors/runtime',
      detail: expect.stringContaining('-32001'),
    });
    expect(subject.audited).toEqual([]);
  });

  it('credentials are sent to the origin of the card, and kept nowhere', async () => {
    const { kept } = await subject.run(
      `use: { secrets: [ TOKEN ] }\n${flow(message('hi'), `agentCard: { endpoint: { uri: 'http://127.0.0.1:${agent.port}/card', authentication: { bearer: { use: TOKEN } } } }`)}`,
    );
    expect(agent.seen.map(({ authorization }) => authorization)).toEqual([
      'Bearer s3cret-token',
      'Bearer s3cret-token',
    ]);
    expect(kept).not.toContain('s3cret-token');
  });

  it('no answer is of unknown outcome; an address that is not there is one that nothing was sent to', async () => {
    const slow = new CallsUnderTest(subject.fixture, [], 'a2aCallMs=200');
    await slow.begin();
    expect((await slow.run(flow(message('hang')))).result!.error).toMatchObject({
      code: 'connectors.outcome_unknown',
    });
    await slow.stop();
    const gone = await serveAgent(spoken);
    gone.close();
    const { result } = await subject.run(flow(message('hi'), `server: 'http://127.0.0.1:${gone.port}/'`));
    expect(result!.error).toMatchObject({ code: 'connectors.unreachable' });
    const refused = await subject.run(flow(message('hi'), "server: 'http://localhost:59999/'"));
    expect(refused.result!.error).toMatchObject({ code: 'connectors.egress_refused' });
  });

  it.each([
    [
      'neither a card nor a server',
      () => 'do: [ { a: { call: a2a, with: { method: tasks/list } } } ]',
      '/do/0/a/with',
    ],
    ['a method that is none', () => flow('method: tasks/burn'), '/do/0/a/with/method'],
  ])('%s is refused when the flow is applied', (_what, text, path) => {
    expect(() => compileFlow(subject.flowOf(text()), subject.catalog, runJq)).toThrow(
      expect.objectContaining({
        code: 'definition.invalid',
        issues: expect.arrayContaining([expect.objectContaining({ path })]),
      }),
    );
  });
});
