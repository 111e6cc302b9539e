import { destinationOf } from '../../kernel/destination.ts';
import { AiosError } from '../../kernel/errors.ts';
import { exactJson } from '../../kernel/exact-integers.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import { ENDPOINT, endpointOf, readingAndActing, type SecretsPort } from './outgoing.ts';
import type { CallPrimitive, StepContext } from './primitive.ts';
import type { AuditPort } from './records.ts';

interface HttpRequest {
  method: string;
  url: string;
  headers?: Record<string, string> | undefined;
  query?: Record<string, Json> | undefined;
  body?: Json | undefined;
  authentication?: JsonObject | undefined;
  redirect?: boolean | undefined;
}

/** What these primitives need of the connectors. */
export interface HttpPort {
  call(
    request: HttpRequest & { idempotencyKey: string; signal: AbortSignal },
  ): Promise<{ status: number; headers: Readonly<Record<string, string>>; text: string; url: string }>;
}

const INPUT: JsonObject = {
  type: 'object',
  required: ['method', 'endpoint'],
  additionalProperties: false,
  properties: {
    method: { type: 'string', pattern: '^[A-Za-z]+$' },
    endpoint: ENDPOINT,
    headers: { type: 'object', additionalProperties: { type: 'string' } },
    query: { type: 'object' },
    body: {},
    output: { enum: ['content', 'raw', 'response'] },
    redirect: { type: 'boolean' },
  },
};

/** Whether a request only reads, so that it may be made again at any time (RFC 9110, section 9.2.1). */
export function isReading(method: unknown): boolean {
  return typeof method === 'string' && /^(get|head|options)$/i.test(method);
}

/**
 * `call: http` of the specification (dsl-reference.md, "HTTP Call"), in two: reading, which may be repeated, and acting, before which everything is durable
 * and which is an audit entry. Authentication names a secret.
 *
 * Output: the content, parsed when it is JSON; `raw`: base64 of the content; `response`: request, statusCode, headers and content.
 */
export function httpPrimitives(
  http: HttpPort,
  secrets: SecretsPort,
  audit: AuditPort,
): [CallPrimitive, CallPrimitive] {
  const run = async (input: JsonObject, context: StepContext) => {
    const { method, endpoint, headers, query, body, output = 'content', redirect } = input;
    const { uri, authentication } = endpointOf(endpoint);
    const request = {
      method: String(method).toUpperCase(),
      url: uri,
      headers: headers as Record<string, string> | undefined,
      query: query as JsonObject | undefined,
      body,
      authentication,
      redirect: redirect as boolean | undefined,
    };
    const { idempotencyKey, signal } = context;
    const answer = await http.call({ ...request, idempotencyKey, signal });
    return { request, answer, output: httpOutput(String(output), request, answer) };
  };
  return readingAndActing(secrets, audit, {
    name: 'http',
    inputSchema: INPUT,
    call: run,
    outputOf: ({ output }) => output,
    actionOf: (_, { request, answer }) => {
      const { origin, pathname } = new URL(answer.url);
      return {
        action: `http.${request.method.toLowerCase()}`,
        payload: { url: origin + pathname, status: answer.status },
      };
    },
    targetOf: ({ endpoint }) => ({
      to: destinationOf(endpointOf(endpoint).uri),
      policyAt: '/endpoint/authentication',
    }),
  });
}

type Answer = Awaited<ReturnType<HttpPort['call']>>;

/** What `output` of a call over HTTP asks for. */
export function httpOutput(form: string, request: HttpRequest, answer: Answer): Json {
  if (form === 'raw') return Buffer.from(answer.text).toString('base64');
  const content = contentOf(answer);
  if (form === 'content') return content;
  return {
    request: { method: request.method, uri: answer.url, headers: request.headers ?? {} },
    statusCode: answer.status,
    headers: { ...answer.headers },
    content,
  };
}

function contentOf({ headers, text }: Answer): Json {
  if (text === '') return null;
  if (!/[/+]json\b/.test(headers['content-type'] ?? '')) return text;
  try {
    return exactJson(text);
  } catch {
    throw new AiosError('connectors.response_invalid', {
      detail: `The answer says that it is JSON: ${text.slice(0, 200)}`,
    });
  }
}
