import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kindsOf } from '../src/app/stations/stations.ts';
import { Contracts } from '../src/contracts/contracts.ts';
import { AiosError, describeIssue } from '../src/kernel/errors.ts';
import { limitsFrom } from '../src/kernel/limits.ts';
import { Definitions, definitionMigrations } from '../src/store/definitions.ts';
import { planProject } from '../src/store/project.ts';
import { createTestDatabase, type TestDatabase } from '../src/testing/database.ts';
import { decidePrimitive } from '../src/workflow/catalog/decide.ts';
import { httpPrimitives } from '../src/workflow/catalog/http.ts';
import { humanTaskPrimitive } from '../src/workflow/catalog/human-task.ts';
import { catalogOf } from '../src/workflow/catalog/primitive.ts';

const CEL = 'evaluate: { language: cel }';
const flow = (steps: string, head = CEL, document = 'namespace: n, name: x, version: 1.0.0') =>
  `document: { dsl: 1.0.3, ${document} }\n${head}\ndo:\n  - a: ${steps}\n`;
const TABLE =
  'name: t\nhitPolicy: first\ninputs: { amount: number, country: string }\noutputs: { outcome: { enum: [yes, no] } }\n';
const QUEUE = 'name: q\ntitle: Q\n';
const CONNECTOR = 'name: c\ntype: http\noperations: { a: { method: GET, path: /a } }\n';

/** What people get wrong, and the words that lead on. */
const WRONG: [what: string, path: string, text: string, told: RegExp][] = [
  [
    'a function that is nearly one',
    'workflows/x.yaml',
    flow(`{ call: 'decde:1@default', with: {} }`),
    /:4:\d+ \/do\/0\/a\/call: “decde:1@default” is not in the catalog; did you mean decide:1@default\? \(expected (?!.*http-read).*decide:1@default.*, http,/,
  ],
  [
    'a function without its version',
    'workflows/x.yaml',
    flow('{ call: human-task, with: {} }'),
    /did you mean human-task:1@default\?/,
  ],
  [
    'a variable that there is not',
    'workflows/x.yaml',
    flow(`{ set: { x: '\${ inputs.name }' } }`),
    /\/do\/0\/a\/set\/x: Unknown variable: inputs; known are input, output, context,/,
  ],
  [
    'an expression of jq in a flow of CEL',
    'workflows/x.yaml',
    flow(`{ set: { x: '\${ .name }' } }`),
    /The expressions of this flow are CEL, as input\.name/,
  ],
  [
    'an expression of CEL in a flow of jq',
    'workflows/x.yaml',
    flow(`{ set: { x: '\${ "Hello " + input.name }' } }`, ''),
    /The expressions of this flow are jq; for CEL say evaluate: \{ language: cel \}/,
  ],
  [
    'words for a duration',
    'workflows/x.yaml',
    flow('{ wait: 5 minutes }'),
    /“5 minutes” is not a duration such as PT5M, 5m or P1D/,
  ],
  [
    'a name with an underscore',
    'workflows/x.yaml',
    flow('{ set: { x: 1 } }', CEL, 'namespace: n, name: my_flow, version: 1.0.0'),
    /\/document\/name: it has another form \(found "my_flow"; expected letters, digits and - between them/,
  ],
  [
    'a version that YAML takes for a number',
    'workflows/x.yaml',
    flow('{ set: { x: 1 } }', CEL, 'namespace: n, name: x, version: 1.0'),
    /\/document\/version: .*expected a text of three numbers: 1\.0\.0/,
  ],
  [
    'the name of a queue',
    'queues/q.yaml',
    'name: My Queue\ntitle: Q\nform: { type: object }\n',
    /\/name: it has another form \(found "My Queue"; expected small letters, digits/,
  ],
  [
    'a word in a cell',
    'decisions/t.yaml',
    `${TABLE}rules:\n  - { id: a, when: { country: DE }, then: { outcome: 'yes' } }\n`,
    /:6:\d+ \/rules\/0\/when\/country: Unknown variable: DE; known are amount, country\./,
  ],
  [
    'a field that a form asks for and does not have',
    'queues/q.yaml',
    `${QUEUE}form: { type: object, required: [outcome, reason], properties: { outcome: { type: string } } }\n`,
    /:3:\d+ \/form\/required\/1: the form asks for “reason” and has no such field \(expected outcome\)/,
  ],
  [
    'a slip in a keyword of a form',
    'queues/q.yaml',
    `${QUEUE}form:\n  type: object\n  properties:\n    reason: { type: string, minLenght: 3 }\n`,
    /:6:\d+ \/form\/properties\/reason\/minLenght: “minLenght” is not a keyword of JSON Schema \(did you mean “minLength”\?\)/,
  ],
  [
    'a word in a form that another tool reads',
    'queues/q.yaml',
    `${QUEUE}form: { type: object, properties: { reason: { type: string, widget: large } } }\n`,
    /:3:\d+ \/form\/properties\/reason\/widget: “widget” is not a keyword of JSON Schema \(expected a keyword, or a name that begins with x-\)/,
  ],
  [
    'small letters for a variable',
    'connectors/c.yaml',
    `${CONNECTOR}baseUrl: '\${env.url}'\n`,
    /\$\{env\.url\} is not allowed here: use \$\{env\.NAME\} or \$\{secrets\.NAME\}, the name in capital letters/,
  ],
];

/** What looks like one of these and is right. */
const RIGHT: [what: string, path: string, text: string][] = [
  [
    'variables that the flow, a macro, a type and an event bring',
    'workflows/x.yaml',
    `document: { dsl: 1.0.3, namespace: n, name: x, version: 1.0.0 }
${CEL}
do:
  - a: { set: { x: '\${ input.lines.map(line, line.price).filter(p, type(p) == double) }' } }
  - b: { for: { each: pet, at: n, in: input.x }, do: [ { c: { set: '\${ pet + double(n) }' } } ] }
  - d: { listen: { to: { one: { with: { type: t, data: '\${ data.ok }' }, correlate: { shop: { from: data.shop + tenant } } } } } }
  - e: { try: [ { f: { set: { x: 1 } } } ], catch: { as: fault, do: [ { g: { set: '\${ fault.title }' } } ] } }
`,
  ],
  [
    'a form whose field comes by a condition',
    'queues/q.yaml',
    `${QUEUE}form: { type: object, required: [why], allOf: [ { properties: { why: { type: string } } } ] }\n`,
  ],
];

describe('definitions that people get wrong', () => {
  let database: TestDatabase;
  let definitions: Definitions;
  beforeAll(async () => {
    database = await createTestDatabase(definitionMigrations);
    definitions = new Definitions(database.db);
  });
  afterAll(() => database.close());

  async function faultsOf(path: string, text: string): Promise<string> {
    const none = undefined as never; // planning calls no port
    const catalog = catalogOf([
      decidePrimitive(none, none),
      humanTaskPrimitive(none, none),
      ...httpPrimitives(none, none, none),
    ]);
    const kinds = kindsOf(new Contracts(definitions, async () => 'BACKWARD', limitsFrom()), catalog, none);
    try {
      await planProject([{ path, bytes: new TextEncoder().encode(text) }], kinds, definitions);
      return '';
    } catch (error) {
      if (!(error instanceof AiosError)) throw error;
      return error.issues.map(describeIssue).join('\n');
    }
  }

  it.each(WRONG)('%s', async (_, path, text, told) => {
    expect(await faultsOf(path, text)).toMatch(told);
  });

  it.each(RIGHT)('%s', async (_, path, text) => {
    expect(await faultsOf(path, text)).toBe('');
  });
});
