import { isDeepStrictEqual } from 'node:util';
import { locateIssue, type SourceDocument, validateDocument } from '../kernel/document.ts';
import { AiosError, type Issue } from '../kernel/errors.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import { compileSchema, DEFINITION_NAME } from '../kernel/schema.ts';
import type { DefinitionKind } from '../store/definition-kind.ts';
import { INPUT_TYPES } from './inputs.ts';
import { CellFault, compileTable, type Evaluation, type Table } from './table.ts';

const type = { enum: [...INPUT_TYPES] };
const inputFields = { type, nullable: { type: 'boolean' }, description: { type: 'string' } };
// biome-ignore lint/suspicious/noThenProperty: `then` is what a rule of the table gives
const outcome = { then: { type: 'object', minProperties: 1 }, reason: { type: 'string' } };

const validate = compileSchema({
  type: 'object',
  additionalProperties: false,
  required: ['name', 'hitPolicy', 'inputs', 'outputs', 'rules'],
  properties: {
    name: DEFINITION_NAME,
    description: { type: 'string' },
    hitPolicy: { enum: ['unique', 'first', 'priority', 'collect'] },
    inputs: {
      if: { type: 'array' },
      // biome-ignore lint/suspicious/noThenProperty: `then` is a keyword of JSON Schema
      then: {
        minItems: 1,
        items: {
          type: 'object',
          additionalProperties: false,
          required: ['name'],
          properties: { name: { type: 'string' }, ...inputFields },
        },
      },
      else: {
        type: 'object',
        minProperties: 1,
        additionalProperties: {
          if: { type: 'string' },
          // biome-ignore lint/suspicious/noThenProperty: as above
          then: type,
          else: { type: 'object', additionalProperties: false, properties: inputFields },
        },
      },
    },
    outputs: {
      type: 'object',
      minProperties: 1,
      // biome-ignore lint/suspicious/noThenProperty: as above
      additionalProperties: { if: { type: 'string' }, then: type, else: { type: 'object' } },
    },
    rules: {
      type: 'array',
      minItems: 1,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['id', 'then'],
        properties: {
          id: { type: 'string', minLength: 1 },
          description: { type: 'string' },
          when: { type: ['string', 'object'] },
          priority: { type: 'number' },
          ...outcome,
        },
      },
    },
    default: { type: 'object', additionalProperties: false, required: ['then'], properties: outcome },
    tests: {
      type: 'array',
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['input', 'expect'],
        properties: {
          name: { type: 'string' },
          input: { type: 'object' },
          expect: {
            type: 'object',
            additionalProperties: false,
            minProperties: 1,
            properties: {
              rule: { type: ['string', 'null'] },
              rules: { type: 'array' },
              output: {},
              reason: { type: 'string' },
              error: { type: 'string' },
            },
          },
        },
      },
    },
  },
} as unknown as JsonObject);

interface TableTest {
  name?: string;
  input: JsonObject;
  expect: { rule?: Json; rules?: Json; output?: Json; reason?: Json; error?: string };
}

/** The kind `decision` of a project folder. */
export const decisionKind: DefinitionKind = {
  kind: 'decision',
  folder: 'decisions',
  parse: (document) => parseDecision(document),
};

/**
 * Reads a decision table, compiles its cells and runs its tests.
 *
 * @throws AiosError `definition.invalid`, `expression.syntax`, `decisions.test_failed`, each with file and line
 * @example parseDecision(readDocument(text, 'decisions/return-policy.yaml')).name // 'return-policy'
 */
export function parseDecision(document: SourceDocument): { name: string; body: JsonObject } {
  validateDocument(document, validate);
  const body = document.value;
  const issues = [...repeatedIds(body), ...runTests(compile(document), body)];
  if (issues.length > 0) {
    const code = issues.some(({ path }) => path.startsWith('/rules'))
      ? 'definition.invalid'
      : 'decisions.test_failed';
    throw new AiosError(code, { issues: issues.map((issue) => locateIssue(document, issue)) });
  }
  return { name: body.name as string, body };
}

function compile(document: SourceDocument): Table {
  try {
    return compileTable(document.value);
  } catch (error) {
    if (!(error instanceof CellFault)) throw error;
    const issue = { ...error.value, path: error.path, message: error.message };
    throw new AiosError(error.fault.code, { issues: [locateIssue(document, issue)], cause: error.fault });
  }
}

function repeatedIds(body: JsonObject): Issue[] {
  const ids = (body.rules as { id: string }[]).map(({ id }) => id);
  return ids.flatMap((id, index) => {
    if (id === 'default')
      return [{ path: `/rules/${index}/id`, message: '“default” names what applies when no rule fits' }];
    return ids.indexOf(id) < index ? [{ path: `/rules/${index}/id`, message: `“${id}” is used twice` }] : [];
  });
}

function runTests(table: Table, body: JsonObject): Issue[] {
  return ((body.tests ?? []) as unknown as TableTest[]).flatMap(({ name, input, expect }, index): Issue[] => {
    const label = name ?? `test ${index + 1}`;
    const actual = outcomeOf(table, input);
    const wrong = Object.entries(expect).filter(
      ([member, value]) => !isDeepStrictEqual(actual[member as keyof typeof actual] ?? null, value),
    );
    return wrong.map(([member, value]) => ({
      path: `/tests/${index}/expect/${member}`,
      message: `${label}: another ${member} came out${actual.message ? ` (${actual.message})` : ''}`,
      found: JSON.stringify(actual[member as keyof typeof actual] ?? null),
      expected: JSON.stringify(value),
    }));
  });
}

function outcomeOf(
  table: Table,
  input: JsonObject,
): Partial<Evaluation> & { error?: string; message?: string } {
  try {
    return table.evaluate(input);
  } catch (error) {
    if (!(error instanceof AiosError)) throw error;
    return { error: error.code, message: error.message };
  }
}
