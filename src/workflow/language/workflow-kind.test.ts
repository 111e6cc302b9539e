// biome-ignore-all lint/suspicious/noTemplateCurlyInString: flows hold expressions in ${ … }
import { describe, expect, it } from 'vitest';
import { readDocument } from '../../kernel/document.ts';
import { AiosError } from '../../kernel/errors.ts';
import { catalogOf } from '../catalog/primitive.ts';
import { workflowKind } from './workflow-kind.ts';

const catalog = catalogOf([
  {
    name: 'echo',
    version: 1,
    kind: 'pure',
    inputSchema: {
      type: 'object',
      properties: { n: { type: 'number' } },
      required: ['n'],
      additionalProperties: false,
    },
    run: ({ n }) => ({ output: n! }),
  },
]);
const HEAD = `document: { dsl: '1.0.3', namespace: test, name: flow, version: '1.0.0' }
evaluate: { language: cel }
`;

function parse(text: string) {
  return workflowKind(catalog, async () => '').parse(readDocument(text, 'workflows/flow.yaml'), new Map());
}

function faults(text: string): { code: string; lines: string[] } {
  try {
    parse(text);
  } catch (error) {
    if (!(error instanceof AiosError)) throw error;
    const lines = error.issues.map(
      ({ file, line, path, message, expected }) =>
        `${file}:${line} ${path}: ${message}${expected ? ` | ${expected}` : ''}`,
    );
    return { code: error.code, lines };
  }
  throw new Error('was accepted');
}

/** A definition that is wrong, the code, and each fault: line, path, what is expected. */
const WRONG: [title: string, text: string, code: string, faults: RegExp[]][] = [
  [
    'attributes that cannot be searched by, and a retention that is none',
    `${HEAD.replace(
      "version: '1.0.0' }",
      "version: '1.0.0', metadata: { aios: { retention: soon, attributes: { a.b: input.x, n: { value: input.n, type: date }, bad: 'input.' } } } }",
    )}do: [ { a: { set: { x: 1 } } } ]`,
    'definition.invalid',
    [
      /attributes\/a.b: /,
      /attributes\/n\/type: “date” .* \| text, number, boolean, time/,
      /attributes\/bad: /,
      /retention: /,
    ],
  ],
  [
    'a step that does nothing',
    `${HEAD}do: [ { a: { then: end } } ]`,
    'definition.invalid',
    [/flow.yaml:3 \/do\/0\/a: a step does one thing \| one of call/],
  ],
  [
    'an unknown member',
    `${HEAD}do:\n  - a:\n      set: { x: 1 }\n      thn: end`,
    'definition.invalid',
    [/:6 \/do\/0\/a\/thn: “thn” is not known here \| if, input/],
  ],
  [
    'a missing member',
    `${HEAD}do: [ { a: { for: { each: x }, do: [ { b: { set: { c: 1 } } } ] } } ]`,
    'definition.invalid',
    [/\/do\/0\/a\/for: in is required/],
  ],
  [
    'an expression that does not parse',
    `${HEAD}do:\n  - a: { set: { x: '\${ 1 + }' } }`,
    'definition.invalid',
    [/:4 \/do\/0\/a\/set\/x: 1 \+/],
  ],
  [
    'an expression that is not closed',
    `${HEAD}do: [ { a: { set: { x: 'is \${ y' } } } ]`,
    'definition.invalid',
    [/not closed/],
  ],
  [
    'a step to go to that is not there',
    `${HEAD}do: [ { a: { set: { x: 1 }, then: c } }, { b: { set: { x: 1 } } } ]`,
    'definition.invalid',
    [/there is no step “c” in this list \| continue, exit, end, a, b/],
  ],
  [
    'two steps of one name',
    `${HEAD}do: [ { a: { set: { x: 1 } } }, { a: { set: { x: 1 } } } ]`,
    'definition.invalid',
    [/names two steps/],
  ],
  [
    'a name that cannot be a key',
    `${HEAD}do: [ { 'a/b': { set: { x: 1 } } } ]`,
    'definition.invalid',
    [/cannot name a step/],
  ],
  [
    'a duration that is none',
    `${HEAD}do: [ { a: { wait: soon } } ]`,
    'definition.invalid',
    [/“soon” is not a duration/],
  ],
  [
    "a primitive's input that does not fit",
    `${HEAD}do: [ { a: { call: echo:1@default, with: { m: 1, n: many } } } ]`,
    'definition.invalid',
    [/with\/m: “m” is not known here/, /with\/n: must be number/],
  ],
  [
    'what use does not define',
    `${HEAD}do: [ { a: { raise: { error: gone } } } ]`,
    'definition.invalid',
    [/use.errors does not define “gone”/],
  ],
  [
    'a schema that is none',
    `${HEAD}input: { schema: { document: { type: 7 } } }\ndo: [ { a: { set: { x: 1 } } } ]`,
    'definition.invalid',
    [/Not a JSON Schema/],
  ],
  ['no document', 'do: [ { a: { set: { x: 1 } } } ]', 'definition.invalid', [/document is required/]],
  [
    'a language that is none of the two',
    `${HEAD.split('\n')[0]}\nevaluate: { language: js }\ndo: [ { a: { set: { x: 1 } } } ]`,
    'workflow.unsupported',
    [/“js” are not run \| jq \(the default\) or cel/],
  ],
  [
    'a primitive that is not in the catalog',
    `${HEAD}do: [ { a: { call: guess:1@default } } ]`,
    'workflow.unsupported',
    [/“guess:1@default” is not in the catalog \| echo:1@default/],
  ],
  [
    'a document that was not read',
    `${HEAD}do: [ { a: { call: openapi, with: { document: { endpoint: 'https://a.b' }, operationId: c } } } ]`,
    'workflow.unsupported',
    [/“https:\/\/a.b#c” was not read/],
  ],
  [
    'containers and shells',
    `${HEAD}do: [ { a: { run: { shell: { command: ls } } } } ]`,
    'workflow.unsupported',
    [/shells are not run here \| AIOS_RUN_SHELL=true/],
  ],
  [
    'a schedule that cannot be read',
    `${HEAD}schedule: { cron: often }\ndo: [ { a: { set: { x: 1 } } } ]`,
    'definition.invalid',
    [/:3 \/schedule\/cron: .*minute, hour, day of the month/],
  ],
  [
    'a secret in an expression',
    `${HEAD}use: { secrets: [ s ] }\ndo: [ { a: { set: { x: '\${ "a" + $secrets.s }' } } } ]`,
    'definition.invalid',
    [/:4 \/do\/0\/a\/set\/x: .*a secret stands in headers, query or credentials of a call/],
  ],
];

describe('a workflow definition', () => {
  it('is known by the name in its document', () => {
    const text = `${HEAD}do: [ { a: { set: { x: 1 } } } ]`;
    expect(parse(text)).toMatchObject({ name: 'flow', body: { do: [{ a: { set: { x: 1 } } }] } });
  });

  it.each(WRONG)('is refused for %s, at its place', (_, text, code, expected) => {
    const found = faults(text);
    expect(found.code).toBe(code);
    for (const pattern of expected) expect(found.lines.join('\n')).toMatch(pattern);
    expect(found.lines).toHaveLength(expected.length);
  });
});
