import { createHash } from 'node:crypto';
import { AiosError } from '../../kernel/errors.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import type { Limits } from '../../kernel/limits.ts';
import { auditOf, fixedOf, outgoing, type SecretsPort } from './outgoing.ts';
import type { CallPrimitive, StepContext } from './primitive.ts';
import { type ProcessAnswer, runProcess } from './process.ts';
import { processOutput, RETURN } from './process-output.ts';
import type { AuditPort } from './records.ts';

/** What an operator turned on; nothing by default. */
export interface ProcessSettings {
  readonly isShellAllowed: boolean;
  /** The command of the engine, `docker` or `podman`. */
  readonly containerEngine: string | undefined;
}

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const scalar = { type: ['string', 'number', 'boolean'] };
const SHARED = {
  command: { type: 'string', minLength: 1 },
  stdin: { type: 'string' },
  arguments: { type: 'array', items: scalar },
  environment: { type: 'object', additionalProperties: scalar },
  return: { enum: [...RETURN] },
};
const PULL: { readonly [policy: string]: string } = {
  always: 'always',
  never: 'never',
  ifNotPresent: 'missing',
};

/**
 * `run: shell` and `run: container` (dsl-reference.md, "Shell Process", "Container Process"), those of the two that an operator turned on. A process has the
 * environment that the flow gives it, a folder of its own, a bounded time and output, and is killed with everything that it started. The command is the flow's
 * own text; what comes from data goes as arguments.
 */
export function processPrimitives(
  limits: Limits,
  secrets: SecretsPort,
  audit: AuditPort,
  { isShellAllowed, containerEngine }: ProcessSettings,
): CallPrimitive[] {
  const primitives: CallPrimitive[] = [];
  if (isShellAllowed)
    primitives.push(
      processPrimitive('shell', ['command'], SHARED, audit, (input, { signal }) =>
        runProcess({
          command: '/bin/sh',
          args: ['-c', String(input.command), 'sh', ...textsOf(input.arguments)],
          env: { PATH, ...environmentOf(input.environment) },
          stdin: String(input.stdin ?? ''),
          ...bounds(limits),
          signal,
        }),
      ),
    );
  if (containerEngine !== undefined)
    primitives.push(
      processPrimitive('container', ['image'], CONTAINER, audit, (input, context) =>
        runContainer(containerEngine, limits, input, context),
      ),
    );
  return primitives.map((primitive) => outgoing(secrets, primitive));
}

const CONTAINER = {
  ...SHARED,
  image: { type: 'string', pattern: '^[A-Za-z0-9]' },
  name: { type: 'string', pattern: '^[A-Za-z0-9][A-Za-z0-9_.-]*$' },
  lifetime: {
    type: 'object',
    additionalProperties: false,
    required: ['cleanup'],
    properties: { cleanup: { enum: ['always', 'never'] } },
  },
  pullPolicy: { enum: Object.keys(PULL) },
};

function processPrimitive(
  name: string,
  required: string[],
  properties: JsonObject,
  audit: AuditPort,
  run: (input: JsonObject, context: StepContext) => Promise<ProcessAnswer>,
): CallPrimitive {
  return {
    name,
    version: 1,
    kind: 'effect',
    inputSchema: { type: 'object', additionalProperties: false, required, properties },
    async run(given, context) {
      const { return: what = 'stdout', ...input } = given;
      const did = { command: String(input.command ?? '').slice(0, 1_000), image: input.image ?? null };
      const answer = run(input, context);
      if (fixedOf(given).detached) {
        // Nobody waits for it (`await: false`): what it comes to is told to nobody.
        answer.catch(() => {});
        return { output: null, writes: [auditOf(audit, context, `${name}.start`, did)] };
      }
      const ended = await answer;
      if ('stopped' in ended) throw stoppedError(name, ended.stopped, input);
      const output = processOutput(String(what), ended);
      return { output, writes: [auditOf(audit, context, `${name}.run`, { ...did, code: ended.code })] };
    },
  };
}

async function runContainer(
  engine: string,
  limits: Limits,
  input: JsonObject,
  { workflow, idempotencyKey, signal }: StepContext,
): Promise<ProcessAnswer> {
  const { image, command, lifetime, pullPolicy = 'ifNotPresent' } = input;
  const environment = environmentOf(input.environment);
  const hash = createHash('sha256').update(idempotencyKey).digest('hex').slice(0, 12);
  const name = String(input.name ?? `${workflow}-${hash}`);
  const isKept = (lifetime as JsonObject | undefined)?.cleanup === 'never';
  const args = [
    ...['run', '--interactive', '--name', name, '--pull', PULL[String(pullPolicy)]!],
    ...(isKept ? [] : ['--rm']),
    ...['--security-opt', 'no-new-privileges'],
    // By name only: arguments of processes can be read by everybody on the machine.
    ...Object.keys(environment).flatMap((variable) => ['--env', variable]),
    ...(command === undefined
      ? [String(image), ...textsOf(input.arguments)]
      : ['--entrypoint', 'sh', String(image), '-c', String(command), 'sh', ...textsOf(input.arguments)]),
  ];
  const shared = { ...bounds(limits), signal };
  const env = { PATH, ...environment };
  const answer = await runProcess({
    command: engine,
    args,
    env,
    stdin: String(input.stdin ?? ''),
    ...shared,
  });
  // The engine's client is gone; the container is not, for it runs under the engine.
  if ('stopped' in answer && answer.stopped !== 'missing')
    await runProcess({
      command: engine,
      args: ['kill', name],
      env: { PATH },
      stdin: '',
      ...bounds(limits),
      signal: new AbortController().signal,
    });
  return answer;
}

function bounds({ processMs, processOutputBytesMax }: Limits) {
  return { timeoutMs: processMs, outputBytesMax: processOutputBytesMax };
}

function textsOf(list: Json | undefined): string[] {
  return Array.isArray(list) ? list.map(String) : [];
}

function environmentOf(variables: Json | undefined): { [name: string]: string } {
  return Object.fromEntries(
    Object.entries((variables ?? {}) as object).map(([name, value]) => [name, String(value)]),
  );
}

const STOPPED: { readonly [why: string]: string } = {
  time: 'It did not end in time (processMs) and was killed.',
  output: 'It wrote more than it may (processOutputBytesMax) and was killed.',
  canceled: 'It was canceled, and killed.',
};

/** What was killed may have done a part of its work. */
function stoppedError(name: string, why: string, { image }: JsonObject): AiosError {
  if (why !== 'missing') return new AiosError('workflow.outcome_unknown', { detail: STOPPED[why]! });
  return new AiosError('workflow.script_failed', {
    detail:
      name === 'container'
        ? `The engine that is to run “${String(image)}” is not installed where AIOS runs (AIOS_RUN_CONTAINER).`
        : 'There is no /bin/sh where AIOS runs.',
  });
}
