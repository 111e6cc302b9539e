import { locateIssue, type SourceDocument, validateDocument } from '../kernel/document.ts';
import { AiosError } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import { compileSchema, DEFINITION_NAME, escapePointer } from '../kernel/schema.ts';
import type { DefinitionKind } from '../store/definition-kind.ts';
import { ConnectorFault, compileConnector } from './connector.ts';

const whole = (maximum: number) => ({ type: 'integer', minimum: 1, maximum });
const TOKEN = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"; // RFC 9110, section 5.6.2
const headers = {
  type: 'object',
  propertyNames: { pattern: TOKEN },
  additionalProperties: { type: 'string' },
};
const mapping = { type: ['string', 'object'] };

const validate = compileSchema({
  type: 'object',
  additionalProperties: false,
  required: ['name', 'type', 'baseUrl', 'operations'],
  properties: {
    name: DEFINITION_NAME,
    title: { type: 'string' },
    description: { type: 'string' },
    type: { const: 'http' },
    baseUrl: { type: 'string', minLength: 1 },
    headers,
    timeoutMs: whole(600_000),
    retry: {
      type: 'object',
      additionalProperties: false,
      properties: {
        attemptsMax: whole(20),
        backoff: {
          type: 'object',
          additionalProperties: false,
          properties: { initialMs: whole(600_000), maxMs: whole(600_000) },
        },
      },
    },
    breaker: {
      type: 'object',
      additionalProperties: false,
      properties: { failuresMax: whole(1_000), openMs: whole(3_600_000) },
    },
    allowPrivate: { type: 'array', items: { type: 'string', minLength: 1 } },
    costPerCallUsd: { type: 'number', minimum: 0 },
    concurrencyMax: whole(1_000),
    operations: {
      type: 'object',
      minProperties: 1,
      propertyNames: { pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$' },
      additionalProperties: {
        type: 'object',
        additionalProperties: false,
        required: ['method', 'path'],
        properties: {
          description: { type: 'string' },
          method: { enum: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] },
          path: { type: 'string', pattern: '^/' },
          input: { type: 'object' },
          query: { type: 'object', additionalProperties: { type: 'string' } },
          headers,
          body: mapping,
          response: mapping,
          success: { type: 'array', minItems: 1, items: { type: 'integer', minimum: 200, maximum: 599 } },
          idempotent: { type: 'boolean' },
          costPerCallUsd: { type: 'number', minimum: 0 },
        },
      },
    },
  },
} as unknown as JsonObject);

/** The kind `connector` of a project folder. */
export const connectorKind: DefinitionKind = {
  kind: 'connector',
  folder: 'connectors',
  parse: (document) => parseConnector(document),
  schemas: ({ operations }) =>
    Object.entries(operations as { [name: string]: { input?: JsonObject } }).map(([name, { input = {} }]) => [
      `/operations/${escapePointer(name)}/input`,
      input,
    ]),
};

/**
 * Reads a connector and compiles its mappings and templates.
 *
 * @throws AiosError `definition.invalid`, `expression.syntax`, each with file and line
 * @example parseConnector(readDocument(text, 'connectors/refunds.yaml')).name // 'refunds'
 */
export function parseConnector(document: SourceDocument): { name: string; body: JsonObject } {
  validateDocument(document, validate);
  const body = document.value;
  try {
    compileConnector(body);
  } catch (error) {
    if (!(error instanceof ConnectorFault)) throw error;
    const issue = { path: error.path, message: error.message };
    throw new AiosError(error.code, { issues: [locateIssue(document, issue)], cause: error });
  }
  return { name: body.name as string, body };
}
