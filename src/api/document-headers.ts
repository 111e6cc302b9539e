import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger';
import { REQUEST_ID } from './request-id.ts';

type Transform = NonNullable<FastifyDynamicSwaggerOptions['transformObject']>;
type Document = Extract<Parameters<Transform>[0], { openapiObject: object }>['openapiObject'];

const text = (description: string) => ({ description, schema: { type: 'string' as const } });
const number = (description: string) => ({ description, schema: { type: 'integer' as const } });

/** Headers of answers, which the routes do not name one by one. */
const HEADERS = {
  [REQUEST_ID]: text('The id of the request: that of the caller, or one that was made.'),
  'RateLimit-Policy': text(
    'The limits over the call (draft-ietf-httpapi-ratelimit-headers); none where there is no limit.',
  ),
  RateLimit: text('What is left of them, and in how many seconds all of it is there again.'),
  'x-ratelimit-limit-requests': number(
    'Calls at once that the model takes of one key, where it has a limit.',
  ),
  'x-ratelimit-remaining-requests': number('How many of them are left.'),
  'x-ratelimit-reset-requests': text('When all of them are there again, `1m30s`.'),
  'x-ratelimit-limit-tokens': number(
    'Tokens of the budget with the fewest left, where one is over the call.',
  ),
  'x-ratelimit-remaining-tokens': number('How many of them are left, calls under way taken off.'),
  'x-ratelimit-reset-tokens': text('When the period of the budget ends, `6m0s`.'),
};

const referTo = (names: readonly string[]) =>
  Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
const OF_ALL = referTo([REQUEST_ID]);
const OF_LIMITED = referTo([REQUEST_ID, 'RateLimit-Policy', 'RateLimit']);
const OF_OPENAI = referTo(Object.keys(HEADERS));

/** The document with the headers of answers: the id of the request on each, what is left of limits where a model is asked. */
export const withHeaders: Transform = (given) => {
  if (!('openapiObject' in given)) return given.swaggerObject;
  const { openapiObject: document } = given;
  for (const [path, operations] of Object.entries(document.paths ?? {})) {
    for (const operation of Object.values(operations ?? {})) {
      const { responses } = operation as { responses?: Record<string, object> };
      for (const response of Object.values(responses ?? {}))
        Object.assign(response, { headers: headersOf(path) });
    }
  }
  document.components = { ...document.components, headers: HEADERS };
  return document as Document;
};

function headersOf(path: string): object {
  if (/^\/v1\/(?!models)/.test(path)) return OF_OPENAI;
  return path.endsWith('/infer') ? OF_LIMITED : OF_ALL;
}
