// biome-ignore-all lint/suspicious/noTemplateCurlyInString: flows hold expressions in ${ … }
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { serveMcp, type ToolCall } from '../../connectors/mcp-under-test.ts';
import { STORES } from '../engine/stores-under-test.ts';
import { compileFlow } from '../language/compile.ts';
import { runJq } from '../language/jq-evaluator.ts';
import { CallsUnderTest } from './calls-under-test.ts';

describe.each(STORES)('call: mcp over %s', (_, open) => {
  const called: ToolCall[] = [];
  let closed: number;
  let refusal: number | undefined;
  let remote: Awaited<ReturnType<typeof serveMcp>>;
  let subject: CallsUnderTest;
  const flow = (members: string, transport = `http: { endpoint: 'http://127.0.0.1:${remote.port}/mcp' }`) =>
    `do: [ { m: { call: mcp, with: { ${members}, transport: { ${transport} } } } } ]`;
  const tool = (name: string, text = 'hi') =>
    `method: tools/call, parameters: { name: ${name}, arguments: { text: '${text}' } }`;

  beforeAll(async () => {
    const gone = await serveMcp([]);
    closed = gone.port;
    gone.close();
    remote = await serveMcp(called, () => refusal);
    subject = await CallsUnderTest.open(open, [process.execPath]);
  });
  afterAll(async () => {
    await subject.close();
    remote.close();
  });
  beforeEach(() => {
    called.length = 0;
    remote.seen.length = 0;
    subject.audited.length = 0;
    refusal = undefined;
  });

  it('calls a tool once, with its key, as an audit entry; the session is ended', async () => {
    const { result } = await subject.run(flow(tool('echo', '${ input.what }')), { what: 'this' });
    expect(result).toMatchObject({ output: { content: [{ type: 'text', text: 'echo this' }] } });
    expect(subject.audited).toMatchObject([
      {
        action: 'mcp.tools/call',
        payload: { tool: 'echo', server: `http://127.0.0.1:${remote.port}/mcp`, isError: false },
      },
    ]);
    expect(called).toEqual([{ text: 'this', key: subject.audited[0]!.payload.idempotencyKey }]);
    expect(remote.seen.some((headers) => headers['mcp-protocol-version'] === '2025-06-18')).toBe(true);
  });

  it.each([
    ['tools/list', '', { tools: [{ name: 'echo' }, { name: 'fail' }, { name: 'hang' }] }],
    ['resources/list', '', { resources: [{ uri: 'note://one' }] }],
    ['resources/read', ', parameters: { uri: "note://one" }', { contents: [{ text: 'a note' }] }],
    ['prompts/get', ', parameters: { name: greet }', { messages: [{ content: { text: 'hello' } }] }],
  ])('reads by %s, which is no audit entry', async (method, members, output) => {
    expect((await subject.run(flow(`method: ${method}${members}`))).result).toMatchObject({ output });
    expect(subject.audited).toEqual([]);
  });

  it('a tool that says that it failed is an output; an error of the protocol is one of type runtime', async () => {
    expect((await subject.run(flow(tool('fail')))).result).toMatchObject({ output: { isError: true } });
    const { result } = await subject.run(flow('method: resources/read, parameters: { uri: "note://none" }'));
    expect(result!.error).toMatchObject({
      type: 'https://serverlessworkflow.io/spec/1.0.0/errors/runtime',
      detail: expect.stringContaining('-32'),
    });
  });

  it('credentials and secret headers arrive and are kept nowhere', async () => {
    const { kept } = await subject.run(
      `use: { secrets: [ TOKEN, LOGIN ], authentications: { a: { basic: { use: LOGIN } } } }\n${flow(
        tool('echo'),
        `http: { endpoint: { uri: 'http://127.0.0.1:${remote.port}/mcp', authentication: { use: a } }, headers: { x-key: '\${ secrets.TOKEN }' } }`,
      )}`,
    );
    for (const headers of remote.seen)
      expect(headers).toMatchObject({
        authorization: `Basic ${btoa('ada:s3cret-word')}`,
        'x-key': 's3cret-token',
      });
    expect(kept).not.toMatch(/s3cret/);
  });

  it.each([
    [
      'no answer to a tool is of unknown outcome',
      () => flow(`${tool('hang')}, timeout: PT0.2S`),
      { status: 504, code: 'connectors.outcome_unknown' },
    ],
    [
      'an address that is not there: nothing was sent',
      () => flow(tool('echo'), `http: { endpoint: 'http://127.0.0.1:${closed}/mcp' }`),
      { status: 503, code: 'connectors.unreachable' },
    ],
    [
      'a private address',
      () => flow(tool('echo'), "http: { endpoint: 'http://localhost:59999/mcp' }"),
      { status: 403, code: 'connectors.egress_refused' },
    ],
  ])('%s', async (_what, text, error) => {
    expect((await subject.run(text())).result!.error).toMatchObject(error);
  });

  it('a status that refuses is that of the error', async () => {
    refusal = 403;
    const { result } = await subject.run(flow(tool('echo')));
    expect(result!.error).toMatchObject({ status: 403, type: expect.stringMatching('communication$') });
    expect(called).toEqual([]);
  });

  it('a server started by a command that an operator allows, with the environment that the flow gives and no other', async () => {
    process.env.AIOS_SECRET_LEAK = 'leak';
    const script = join(import.meta.dirname, 'mcp-stdio-under-test.ts');
    const { result, kept } = await subject.run(
      `use: { secrets: [ TOKEN ] }\n${flow(
        tool('echo'),
        `stdio: { command: '${process.execPath}', arguments: [ '${script}' ], environment: { KEY: '\${ secrets.TOKEN }' } }`,
      )}`,
    );
    delete process.env.AIOS_SECRET_LEAK;
    expect(result).toMatchObject({ output: { content: [{ text: 'echo hi ***' }] } });
    expect(kept).not.toContain('s3cret-token');
    expect(subject.audited).toMatchObject([{ payload: { server: process.execPath } }]);
  });

  it.each([
    [
      'a command that is not allowed',
      () => flow(tool('echo'), 'stdio: { command: npx }'),
      'definition.invalid',
      '/do/0/m/with/transport/stdio/command',
    ],
    [
      'a method that is none',
      () => flow('method: tools/delete'),
      'definition.invalid',
      '/do/0/m/with/method',
    ],
    [
      'no transport',
      () => 'do: [ { m: { call: mcp, with: { method: tools/list } } } ]',
      'definition.invalid',
      '/do/0/m/with',
    ],
  ])('%s is refused when the flow is applied', (_what, text, code, path) => {
    expect(() => compileFlow(subject.flowOf(text()), subject.catalog, runJq)).toThrow(
      expect.objectContaining({ code, issues: [expect.objectContaining({ path })] }),
    );
  });

  it('where no command is allowed, stdio is refused with the way forward', async () => {
    const other = new CallsUnderTest(subject.fixture);
    const text = flow(tool('echo'), 'stdio: { command: npx }');
    expect(() => compileFlow(subject.flowOf(text), other.catalog, runJq)).toThrow(
      expect.objectContaining({
        code: 'workflow.unsupported',
        issues: [expect.objectContaining({ expected: expect.stringContaining('AIOS_MCP_COMMANDS') })],
      }),
    );
    await other.stop();
  });
});
