import { AiosError } from '../../kernel/errors.ts';
import type { Json } from '../../kernel/json.ts';
import { shortcutOf } from './jq-paths.ts';
import { scanJq } from './jq-scan.ts';
import {
  ARGUMENTS,
  type ExpressionLanguage,
  type Scope,
  secretMisplaced,
  type Template,
} from './templates.ts';

/** Runs a jq program on a JSON text and waits for its end: results as JSON, one a line. Exit code 3 is a program that does not compile. */
export type RunJq = (program: string, input: string) => { stdout: string; stderr: string; exitCode: number };

/** What whoever meant the other language is told. */
const NOT_CEL = 'The expressions of this flow are jq; for CEL say evaluate: { language: cel }.';
const DOES_NOT_COMPILE = 3;

/**
 * The specification's default expression language. `.` is what the place of an expression is about: the raw output in `output.as`, the transformed one in
 * `export.as`, the event in `correlate.from`, the input everywhere else. A program answers one value; none is null.
 *
 * @param names loop variables and caught errors that the flow names
 * @example jqLanguage(runJq, ['pet']).expression('$pet.price * 2')({ input: null, pet: { price: 3 } }) // 6
 */
export function jqLanguage(run: RunJq, names: ReadonlySet<string>): ExpressionLanguage {
  const known = { has: (name: string) => ARGUMENTS.includes(name) || names.has(name) };
  return {
    closingBrace(source, from) {
      const { end } = scanJq(source, from);
      return source[end] === '}' ? end : -1;
    },
    expression: (source) => compile(run, source, known),
  };
}

function compile(run: RunJq, source: string, known: Pick<ReadonlySet<string>, 'has'>): Template {
  const { end, variables, forbidden } = scanJq(source);
  if (forbidden !== undefined) {
    throw new AiosError('expression.syntax', {
      detail: `${source}: “${forbidden}” would answer differently in a replay; take it from $workflow, $task or the input. (${NOT_CEL})`,
    });
  }
  if (variables.has('secrets')) throw secretMisplaced(source);
  const bound = [...variables].filter((name) => known.has(name));
  const program = programOf(source, bound, '.i');
  const shortcut = bound.length === variables.size ? shortcutOf(source) : undefined;
  const compiles = { exitCode: 0, stderr: '', stdout: '' };
  const check =
    end < source.length ? undefined : shortcut ? compiles : run(programOf(source, bound, 'empty'), 'null');
  if (!check || check.exitCode === DOES_NOT_COMPILE) {
    const said = check ? messageOf(check.stderr) : `“${source[end]}” closes nothing`;
    throw new AiosError('expression.syntax', { detail: `${source}: ${said} (${NOT_CEL})` });
  }
  return (scope) => {
    const input = subjectOf(scope);
    const short = shortcut?.(input, scope);
    if (short !== undefined) return short;
    const present = bound.filter((name) => Object.hasOwn(scope, name));
    const values = Object.fromEntries(present.map((name) => [name, scope[name]]));
    const complete = present.length === bound.length ? program : programOf(source, present, '.i');
    return answerOf(source, run(complete, JSON.stringify({ i: input, v: values })));
  };
}

function subjectOf(scope: Scope): Json {
  const of = 'output' in scope ? scope.output : 'input' in scope ? scope.input : scope.event;
  return (of ?? null) as Json;
}

/** The line break ends a comment that the source may end with. */
function programOf(source: string, variables: readonly string[], input: string): string {
  return `${variables.map((name) => `.v.${name} as $${name} | `).join('')}${input} | (${source}\n)`;
}

function answerOf(source: string, { stdout, stderr, exitCode }: ReturnType<RunJq>): Json {
  if (exitCode !== 0) throw new AiosError('expression.failed', { detail: `${source}: ${messageOf(stderr)}` });
  if (stdout === '') return null;
  if (!stdout.includes('\n')) return JSON.parse(stdout) as Json;
  throw new AiosError('expression.failed', {
    detail: `${source}: an expression answers one value, this one answered ${stdout.split('\n').length}; put it in [ ].`,
  });
}

function messageOf(stderr: string): string {
  return (stderr.split('\n')[0] ?? '')
    .replace(/^jq: error(?: \(at .*?\))?: /, '')
    .replace(/ at <top-level>, line.*$/, '');
}
