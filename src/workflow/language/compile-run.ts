import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import { compileSchema } from '../../kernel/schema.ts';
import type { Compiler } from './compile.ts';
import type { Kind } from './compile-steps.ts';
import { uriOf } from './resources.ts';

/** `run`: another flow, or a script as a call of the primitive that runs it. */
export function compileRun(compiler: Compiler, run: JsonObject, path: string): Kind | undefined {
  const { workflow, script } = run;
  if (isObject(script)) return compileScript(compiler, run, script, `${path}/run`);
  if (isObject(workflow) && typeof workflow.name === 'string') {
    return {
      type: 'run',
      workflow: workflow.name,
      input: compiler.template(workflow.input ?? {}, `${path}/run/workflow/input`),
      wait: run.await !== false,
    };
  }
  const [kind = ''] = ['shell', 'container', 'workflow'].filter((name) => run[name] !== undefined);
  const message = kind === 'workflow' ? 'a flow is run by its name' : 'neither shells nor containers are run';
  compiler.unsupported(
    `${path}/run${kind && `/${kind}`}`,
    message,
    'workflow: { name }, script: { language: js, code }, or call: connector:1@default',
  );
  return undefined;
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
  if (!primitive) refuse('/script', 'scripts are not run here', 'call: a primitive of the catalog');
  else if (language !== 'js' && language !== 'javascript') {
    refuse('/script/language', `scripts in “${language}” are not run`, 'js');
  } else if (code === undefined && source !== undefined)
    return undefined; // told: it was not read
  else if (typeof code !== 'string') compiler.fault(`${path}/script`, 'a script has its code', 'code');
  else if (run.await === false) refuse('/await', 'a script is waited for', 'await: true');
  else {
    const { code: _, source: __, ...members } = script;
    const rest = compiler.template(
      run.return === undefined ? members : { ...members, return: run.return },
      `${path}/script`,
    );
    return {
      type: 'call',
      primitive,
      // The code is no template: `${ }` in it is JavaScript's own.
      with: (scope) => ({ ...(rest(scope) as JsonObject), code }),
      validate: compileSchema(primitive.inputSchema),
    };
  }
  return undefined;
}

/** The text of a script that lies elsewhere, as it was when the flow was applied. */
function sourceOf(compiler: Compiler, source: Json | undefined, path: string): string | undefined {
  const { endpoint } = isObject(source) ? source : {};
  if (endpoint === undefined) return undefined;
  const found = compiler.resource(uriOf(endpoint), path);
  return found && 'text' in found ? found.text : undefined;
}
