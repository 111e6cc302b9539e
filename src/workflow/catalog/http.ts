import { AiosError } from '../../kernel/errors.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import { FlowError, standardError } from './flow-errors.ts';
import type { CallPrimitive, StepContext } from './primitive.ts';
import { type AuditPort, actorOf } from './records.ts';

interface HttpRequest {
  method: string;
  url: string;
  headers?: Record<string, string> | undefined;
  query?: Record<string, Json> | undefined;
  body?: Json | undefined;
  authentication?: { basic: { use: string } } | { bearer: { use: string } } | undefined;
  redirect?: boolean | undefined;
}

/** What these primitives need of the connectors. */
export interface HttpPort {
  call(
    request: HttpRequest & { idempotencyKey: string; signal: AbortSignal },
  ): Promise<{ status: number; headers: Readonly<Record<string, string>>; text: string; url: string }>;
}

const use = {
  type: 'object',
  required: ['use'],
  additionalProperties: false,
  properties: { use: { type: 'string' } },
};
const INPUT: JsonObject = {
  type: 'object',
  required: ['method', 'endpoint'],
  additionalProperties: false,
  properties: {
    method: { type: 'string', pattern: '^[A-Za-z]+$' },
    endpoint: {
      oneOf: [
        { type: 'string' },
        {
          type: 'object',
          required: ['uri'],
          additionalProperties: false,
          properties: {
            uri: { type: 'string' },
            authentication: {
              type: 'object',
              description:
                'by the name of a secret: what is written out would stand in every definition and journal',
              minProperties: 1,
              maxProperties: 1,
              additionalProperties: false,
              properties: { basic: use, bearer: use },
            },
          },
        },
      ],
    },
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
export function httpPrimitives(http: HttpPort, audit: AuditPort): [CallPrimitive, CallPrimitive] {
  const run = async (input: JsonObject, context: StepContext) => {
    const { method, endpoint, headers, query, body, output = 'content', redirect } = input;
    const { uri, authentication } =
      typeof endpoint === 'string' ? { uri: endpoint } : (endpoint as JsonObject);
    const request = {
      method: String(method).toUpperCase(),
      url: String(uri),
      headers: headers as Record<string, string> | undefined,
      query: query as JsonObject | undefined,
      body,
      authentication: authentication as HttpRequest['authentication'],
      redirect: redirect as boolean | undefined,
    };
    try {
      const { idempotencyKey, signal } = context;
      const answer = await http.call({ ...request, idempotencyKey, signal });
      return { request, answer, output: outputOf(String(output), request, answer) };
    } catch (error) {
      throw asCommunication(error, context.stepKey);
    }
  };
  const reading: CallPrimitive = {
    name: 'http-read',
    version: 1,
    kind: 'costly',
    inputSchema: INPUT,
    run: async (input, context) => ({ output: (await run(input, context)).output }),
  };
  const acting: CallPrimitive = {
    name: 'http',
    version: 1,
    kind: 'effect',
    inputSchema: INPUT,
    async run(input, context) {
      const { request, answer, output } = await run(input, context);
      const { runId, stepKey, idempotencyKey, nowMs } = context;
      const { origin, pathname } = new URL(answer.url);
      const entry = audit({
        kind: 'action',
        action: `http.${request.method.toLowerCase()}`,
        actor: actorOf(context),
        object: `run:${runId}`,
        at: nowMs,
        payload: { stepKey, idempotencyKey, url: origin + pathname, status: answer.status },
      });
      return { output, writes: [entry] };
    },
  };
  return [reading, acting];
}

type Answer = Awaited<ReturnType<HttpPort['call']>>;

function outputOf(form: string, request: HttpRequest, answer: Answer): Json {
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
    return JSON.parse(text) as Json;
  } catch {
    throw new AiosError('connectors.response_invalid', {
      detail: `The answer says that it is JSON: ${text.slice(0, 200)}`,
    });
  }
}

/** The error of an answer has the status of that answer (dsl-reference.md, "Standard Error Types": communication). */
function asCommunication(error: unknown, stepKey: string): unknown {
  if (error instanceof FlowError || !(error instanceof Error)) return error;
  const status = Number((error as { extensions?: { remoteStatus?: unknown } }).extensions?.remoteStatus);
  return status > 0 ? standardError('communication', status, error.message, stepKey) : error;
}
