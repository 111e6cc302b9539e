import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import { compileSchema } from '../../kernel/schema.ts';
import { bound } from '../catalog/outgoing.ts';
import type { CallPrimitive } from '../catalog/primitive.ts';
import type { Compiler } from './compile.ts';
import { takeSecrets } from './compile-secrets.ts';
import type { Kind } from './compile-steps.ts';
import type { FlowReference } from './flow.ts';
import { uriOf } from './kept-resources.ts';
import { checkStaticInput } from './static-input.ts';

const SETTINGS: { readonly [kind: string]: string } = {
  shell: 'AIOS_RUN_SHELL=true',
  container: 'AIOS_RUN_CONTAINER=docker (or podman)',
};
/** An expression of a flow in the text of a command; `${NAME}` and `${NAME:-default}` are the shell's own. */
const EXPRESSION = /\$\{(?!\w+(?:[}:#%/^,@-]|\[))/;

/** `run`: another flow, or a script, a shell or a container as a call of the primitive that runs it. */
export function compileRun(compiler: Compiler, run: JsonObject, path: string): Kind | undefined {
  const { workflow, script } = run;
  if (isObject(script)) return compileScript(compiler, run, script, `${path}/run`);
  if (isObject(workflow) && typeof workflow.name === 'string') {
    return {
      type: 'run',
      workflow: referenceOf(workflow as JsonObject & { name: string }),
      input: compiler.template(workflow.input ?? {}, `${path}/run/workflow/input`),
      wait: run.await !== false,
    };
  }
  const kind = ['shell', 'container'].find((name) => isObject(run[name]));
  if (kind) return compileProcess(compiler, kind, run, run[kind] as JsonObject, `${path}/run/${kind}`);
  compiler.unsupported(
    `${path}/run${workflow === undefined ? '' : '/workflow'}`,
    'a flow is run by its name',
    'workflow: { name }, script, shell or container',
  );
  return undefined;
}

function referenceOf({ name, namespace, version }: JsonObject & { name: string }): FlowReference {
  return {
    name,
    ...(typeof namespace === 'string' && { namespace }),
    ...(typeof version === 'string' && version !== 'latest' && { version }),
  };
}

/** A shell or a container: only where an operator turned it on. */
function compileProcess(
  compiler: Compiler,
  kind: string,
  run: JsonObject,
  given: JsonObject,
  path: string,
): Kind | undefined {
  const primitive = compiler.catalog.get(`${kind}:1`);
  if (!primitive || primitive.kind === 'wait') {
    const instead = 'script: { language: js, code }, or call: connector:1@default';
    compiler.unsupported(
      path,
      `${kind}s are not run here`,
      `${SETTINGS[kind]}, which an operator sets; ${instead}`,
    );
    return undefined;
  }
  const { command, ...rest } = given;
  if (typeof command === 'string' && EXPRESSION.test(command))
    compiler.fault(
      `${path}/command`,
      'a command holds no expression: data would be run as a part of it',
      'arguments, and "$1" in the command',
    );
  const members = run.return === undefined ? rest : { ...rest, return: run.return };
  const { input, secretsAt, pinned } = takeSecrets(compiler, 'process', members, path);
  checkStaticInput(
    compiler,
    primitive.inputSchema,
    command === undefined ? input : { ...input, command },
    path,
  );
  const template = compiler.template(input, path);
  return {
    type: 'call',
    primitive: bound(primitive, { secretsAt, detached: run.await === false }),
    pinned,
    with: (scope) => ({ ...(template(scope) as JsonObject), ...(command === undefined ? {} : { command }) }),
    validate: compileSchema(primitive.inputSchema),
    passes: run.await === false,
  };
}

function compileScript(
  compiler: Compiler,
  run: JsonObject,
  script: JsonObject,
  path: string,
): Kind | undefined {
  const { language, source } = script;
  const code = script.code ?? sourceOf(compiler, source, `${path}/script/source/endpoint`);
  const primitive = compiler.catalog.get('script:1');
  const refuse = (at: string, message: string, expected: string) =>
    compiler.unsupported(path + at, message, expected);
  if (!primitive || primitive.kind === 'wait')
    refuse('/script', 'scripts are not run here', 'call: a primitive of the catalog');
  else if (language !== 'js' && language !== 'javascript') {
    refuse('/script/language', `scripts in “${language}” are not run`, 'js');
  } else if (code === undefined && source !== undefined)
    return undefined; // told: it was not read
  else if (typeof code !== 'string') compiler.fault(`${path}/script`, 'a script has its code', 'code');
  else {
    const { code: _, source: __, ...members } = script;
    const rest = compiler.template(
      run.return === undefined ? members : { ...members, return: run.return },
      `${path}/script`,
    );
    return {
      type: 'call',
      primitive: run.await === false ? unawaited(primitive) : primitive,
      passes: run.await === false,
      // The code is no template: `${ }` in it is JavaScript's own.
      with: (scope) => ({ ...(rest(scope) as JsonObject), code }),
      validate: compileSchema(primitive.inputSchema),
    };
  }
  return undefined;
}

/** Nobody waits for it (`await: false`): what it comes to is told to nobody. */
function unawaited(primitive: CallPrimitive): CallPrimitive {
  return {
    ...primitive,
    async run(input, context) {
      Promise.resolve(primitive.run(input, context)).catch(() => {});
      return { output: null };
    },
  };
}

/** The text of a script that lies elsewhere, as it was when the flow was applied. */
function sourceOf(compiler: Compiler, source: Json | undefined, path: string): string | undefined {
  const { endpoint } = isObject(source) ? source : {};
  if (endpoint === undefined) return undefined;
  const found = compiler.resource(uriOf(endpoint), path);
  return found && 'text' in found ? found.text : undefined;
}
