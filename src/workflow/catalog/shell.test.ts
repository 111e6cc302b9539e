// biome-ignore-all lint/suspicious/noTemplateCurlyInString: flows hold expressions in ${ … }
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { STORES } from '../engine/stores-under-test.ts';
import { compileFlow } from '../language/compile.ts';
import { runJq } from '../language/jq-evaluator.ts';
import { CallsUnderTest } from './calls-under-test.ts';

/** A container engine that writes down how it is called, and runs what follows the image here. */
const ENGINE = `#!/bin/sh
echo "$@" >> "$(dirname "$0")/calls"
[ "$1" = kill ] || [ "$1" = rm ] && exit 0
[ "$1" = ps ] && echo "one two" && exit 0
[ "$1" = inspect ] && echo "one 2026-01-01T00:00:00.5Z 60000
two 2999-01-01T00:00:00.5Z 60000" && exit 0
env | grep -v PWD | sort > "$(dirname "$0")/env"
[ "$KEY" = slow ] && sleep 30
cat; echo " from a container"
`;

describe.each(STORES)('shells and containers over %s', (_, open) => {
  const folder = mkdtempSync(join(tmpdir(), 'aios-engine-'));
  const engine = join(folder, 'engine');
  let subject: CallsUnderTest;
  const shell = (members: string, run = '') => `do: [ { s: { run: { shell: { ${members} }, ${run} } } } ]`;
  const container = (members: string, run = '') =>
    `do: [ { s: { run: { container: { ${members} }, ${run} } } } ]`;
  const engineCalls = () => readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n');

  beforeAll(async () => {
    writeFileSync(engine, ENGINE);
    chmodSync(engine, 0o755);
    const limits = 'processMs=500,processOutputBytesMax=1000';
    subject = await CallsUnderTest.open(open, [], limits, {
      isShellAllowed: true,
      containerEngine: engine,
      containerFolders: ['/srv/in/'],
    });
  });
  afterAll(async () => {
    await subject.close();
    rmSync(folder, { recursive: true });
  });
  beforeEach(() => {
    subject.audited.length = 0;
    rmSync(join(folder, 'calls'), { force: true });
  });

  it('runs a command with its arguments and input; data is never a part of the command', async () => {
    const { result } = await subject.run(
      shell(
        'command: "cat; echo \\"$1 and $2\\"", stdin: "${ input.text }", arguments: [ "${ input.evil }", 2 ]',
      ),
      { text: 'in ', evil: '$(echo hacked); echo hacked' },
    );
    expect(result).toEqual({ output: 'in $(echo hacked); echo hacked and 2\n' });
    expect(subject.audited).toMatchObject([{ action: 'shell.run', payload: { code: 0 } }]);
  });

  it('has the environment that the flow gives and no other; a secret in it is kept nowhere', async () => {
    process.env.AIOS_SECRET_LEAK = 'leak';
    const { result, kept } = await subject.run(
      `use: { secrets: [ TOKEN ] }\n${shell('command: env, environment: { KEY: "${ secrets.TOKEN }", N: 1 }')}`,
    );
    delete process.env.AIOS_SECRET_LEAK;
    const names = String(result!.output)
      .trim()
      .split('\n')
      .map((line) => line.split('=')[0]);
    expect(names.filter((name) => !['PATH', 'PWD', 'SHLVL', '_', 'OLDPWD'].includes(name!)).sort()).toEqual([
      'KEY',
      'N',
    ]);
    expect(result!.output).toContain('KEY=***');
    expect(kept).not.toContain('s3cret-token');
  });

  it.each([
    ['stdout', 'a'],
    ['stderr', 'b'],
    ['code', 3],
    ['all', { code: 3, stdout: 'a', stderr: 'b' }],
  ])('returns %s', async (what, output) => {
    const code = what === 'stdout' ? 0 : 3;
    const { result } = await subject.run(
      shell(`command: "printf a; printf b >&2; exit ${code}"`, `return: ${what}`),
    );
    expect(result).toEqual({ output });
  });

  it('a command that fails is an error with what it wrote', async () => {
    expect((await subject.run(shell('command: "echo broken >&2; exit 4"'))).result!.error).toMatchObject({
      code: 'workflow.script_failed',
      detail: expect.stringMatching(/exited with 4: broken/),
    });
  });

  it('time and output are bounded; all that it started is killed, and it may have done a part', async () => {
    const mark = join(folder, 'mark');
    const late = await subject.run(shell(`command: "(sleep 1; touch ${mark}) & sleep 30"`));
    expect(late.result!.error).toMatchObject({ code: 'workflow.outcome_unknown' });
    const loud = await subject.run(shell('command: "yes"'));
    expect(loud.result!.error).toMatchObject({ detail: expect.stringContaining('processOutputBytesMax') });
    const quick = await subject.run(shell(`command: "(sleep 1; touch ${mark}) & echo done"`));
    expect(quick.result).toEqual({ output: 'done\n' });
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    expect(existsSync(mark)).toBe(false);
  });

  it('await: false puts out the input of the step, and the process goes on', async () => {
    const mark = join(folder, 'later');
    const { result } = await subject.run(shell(`command: "sleep 0.2; touch ${mark}"`, 'await: false'), {
      a: 1,
    });
    expect(result).toEqual({ output: { a: 1 } });
    expect(existsSync(mark)).toBe(false);
    await vi.waitFor(() => expect(existsSync(mark)).toBe(true));
    expect(subject.audited).toMatchObject([{ action: 'shell.start' }]);
    rmSync(mark);
  });

  it('runs a container by the engine that an operator named, its environment not among the arguments', async () => {
    const { result, kept } = await subject.run(
      `use: { secrets: [ TOKEN ] }\n${container('image: "alpine:3", command: "echo hi", arguments: [ x ], stdin: in, pullPolicy: always, environment: { KEY: "${ secrets.TOKEN }" }')}`,
    );
    expect(result).toEqual({ output: 'in from a container\n' });
    expect(engineCalls()).toEqual([
      expect.stringMatching(
        /^run --interactive --name calls-[\da-f]{12} --pull always --rm --security-opt no-new-privileges --env KEY --entrypoint sh alpine:3 -c echo hi sh x$/,
      ),
    ]);
    expect(readFileSync(join(folder, 'env'), 'utf8')).toContain('KEY=s3cret-token');
    expect(kept).not.toContain('s3cret-token');
  });

  it('gives a container its ports, on the loopback alone, and volumes: of the engine, and folders that an operator named', async () => {
    await subject.run(
      container(
        'image: alpine, name: mine, ports: { 8080: 80, 5353: 53/udp }, volumes: { data: /data, /srv/in/today: "/in:ro" }',
      ),
    );
    expect(engineCalls()[0]).toContain(
      '--publish 127.0.0.1:5353:53/udp --publish 127.0.0.1:8080:80 --volume data:/data --volume /srv/in/today:/in:ro alpine',
    );
  });

  it('removes a container some time after its end, by what the engine knows of it', async () => {
    await subject.run(container('image: alpine, name: mine, lifetime: { cleanup: eventually, after: PT1M }'));
    await vi.waitFor(() => expect(engineCalls()).toContain('rm one'));
    expect(engineCalls()[0]).toContain('--label aios.remove-after-ms=60000');
    expect(engineCalls()[0]).not.toContain('--rm');
  });

  it('a container that does not end is killed by its name', async () => {
    const { result } = await subject.run(
      container('image: alpine, name: mine, environment: { KEY: slow }, lifetime: { cleanup: never }'),
    );
    expect(result!.error).toMatchObject({ code: 'workflow.outcome_unknown' });
    expect(engineCalls()).toEqual([expect.not.stringContaining('--rm'), 'kill mine']);
  });

  it('an engine that is not installed is told by its setting', async () => {
    const other = new CallsUnderTest(subject.fixture, [], '', {
      isShellAllowed: false,
      containerEngine: '/nowhere/docker',
    });
    await other.begin();
    expect((await other.run(container('image: alpine'))).result!.error).toMatchObject({
      detail: expect.stringContaining('AIOS_RUN_CONTAINER'),
    });
    await other.stop();
  });

  it.each([
    [
      'an expression in a command',
      () => shell('command: "echo ${ input.name }"'),
      'definition.invalid',
      '/do/0/s/run/shell/command',
    ],
    [
      'a folder that no operator named',
      () => container('image: a, volumes: { /etc: /etc }'),
      'definition.invalid',
      '/do/0/s/run/container/volumes',
    ],
    [
      'a way out of a folder',
      () => container('image: a, volumes: { /srv/in/../../etc: /etc }'),
      'definition.invalid',
      '/do/0/s/run/container/volumes',
    ],
    [
      'a port that is none',
      () => container('image: a, ports: { "0.0.0.0:80": 80 }'),
      'definition.invalid',
      '/do/0/s/run/container/ports',
    ],
    [
      'an eventual clean-up without its time',
      () => container('image: a, lifetime: { cleanup: eventually }'),
      'definition.invalid',
      '/do/0/s/run/container/lifetime',
    ],
    [
      'an image that is an option',
      () => container('image: --privileged'),
      'definition.invalid',
      '/do/0/s/run/container/image',
    ],
    [
      'an unknown member',
      () => shell('command: a, user: root'),
      'definition.invalid',
      '/do/0/s/run/shell/user',
    ],
  ])('%s is refused when the flow is applied', (_what, text, code, path) => {
    expect(() => compileFlow(subject.flowOf(text()), subject.catalog, runJq)).toThrow(
      expect.objectContaining({ code, issues: expect.arrayContaining([expect.objectContaining({ path })]) }),
    );
  });

  it('variables of the shell are its own', async () => {
    expect((await subject.run(shell('command: "A=b; echo ${A}${C:-d}"'))).result).toEqual({ output: 'bd\n' });
  });

  it('where they are not turned on, both are refused with the setting', async () => {
    const other = new CallsUnderTest(subject.fixture);
    for (const [text, setting] of [
      [shell('command: ls'), 'AIOS_RUN_SHELL=true'],
      [container('image: alpine'), 'AIOS_RUN_CONTAINER'],
    ] as const)
      expect(() => compileFlow(subject.flowOf(text), other.catalog, runJq)).toThrow(
        expect.objectContaining({
          code: 'workflow.unsupported',
          issues: [expect.objectContaining({ expected: expect.stringContaining(setting) })],
        }),
      );
    await other.stop();
  });
});
