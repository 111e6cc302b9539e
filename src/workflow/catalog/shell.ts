import { AiosError } from '../../kernel/errors.ts';
import type { JsonObject } from '../../kernel/json.ts';
import type { Limits } from '../../kernel/limits.ts';
import { Containers, containerMembers } from './container.ts';
import { auditOf, fixedOf, outgoing, type SecretsPort } from './outgoing.ts';
import type { CallPrimitive, StepContext } from './primitive.ts';
import { bounds, environmentOf, PATH, type ProcessAnswer, runProcess, SCALAR, textsOf } from './process.ts';
import { processOutput, RETURN } from './process-output.ts';
import type { AuditPort } from './records.ts';

/** What an operator turned on; nothing by default. */
export interface ProcessSettings {
  readonly isShellAllowed: boolean;
  /** The command of the engine, `docker` or `podman`. */
  readonly containerEngine: string | undefined;
  /** Folders of the machine that a container may mount, with what is in them. */
  readonly containerFolders?: readonly string[];
}

const SHARED = {
  command: { type: 'string', minLength: 1 },
  stdin: { type: 'string' },
  arguments: { type: 'array', items: SCALAR },
  environment: { type: 'object', additionalProperties: SCALAR },
  return: { enum: [...RETURN] },
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
  { isShellAllowed, containerEngine, containerFolders = [] }: ProcessSettings,
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
    primitives.push(containerPrimitive(new Containers(containerEngine, limits), containerFolders, audit));
  return primitives.map((primitive) => outgoing(secrets, primitive, () => ({ to: 'process' })));
}

function containerPrimitive(
  containers: Containers,
  folders: readonly string[],
  audit: AuditPort,
): CallPrimitive {
  const members = { ...SHARED, ...containerMembers(folders) };
  return processPrimitive('container', ['image'], members, audit, (input, context) =>
    containers.run(input, context),
  );
}

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
