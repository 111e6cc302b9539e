import { destinationOf } from '../../kernel/destination.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import { type HttpPort, httpOutput } from './http.ts';
import { type OpenApiOperation, openApiRequest } from './openapi-request.ts';
import { AUTHENTICATION, auditOf, fixedOf, outgoing, type SecretsPort } from './outgoing.ts';
import type { CallPrimitive, StepContext } from './primitive.ts';
import type { AuditPort } from './records.ts';

const INPUT: JsonObject = {
  type: 'object',
  required: ['document', 'operationId'],
  additionalProperties: false,
  properties: {
    document: { description: 'fetched when the flow is applied; the operation is kept with the flow' },
    operationId: { type: 'string' },
    parameters: { type: 'object' },
    authentication: AUTHENTICATION,
    output: { enum: ['content', 'raw', 'response'] },
    redirect: { type: 'boolean' },
  },
};

/**
 * `call: openapi` of the specification (dsl-reference.md, "OpenAPI Call"), in two as `call: http` is. The operation is that of the document when the flow was
 * applied, fixed by the compiler as `operation`; a change at the source counts when the flow is applied again.
 */
export function openApiPrimitives(
  http: HttpPort,
  secrets: SecretsPort,
  audit: AuditPort,
): [CallPrimitive, CallPrimitive] {
  const call = async (input: JsonObject, { idempotencyKey, signal }: StepContext) => {
    const { authentication, redirect, output = 'content' } = input;
    const request = {
      ...requestOf(input),
      authentication: authentication as JsonObject | undefined,
      redirect: redirect as boolean | undefined,
    };
    const answer = await http.call({ ...request, idempotencyKey, signal });
    return { request, answer, output: httpOutput(String(output), request, answer) };
  };
  const primitive = (name: string, kind: 'costly' | 'effect', run: CallPrimitive['run']) =>
    outgoing(secrets, { name, version: 1, kind, inputSchema: INPUT, run }, (input) => ({
      to: destinationOf(requestOf(input).url),
      policyAt: '/authentication',
    }));
  return [
    primitive('openapi-read', 'costly', async (input, context) => ({
      output: (await call(input, context)).output as Json,
    })),
    primitive('openapi', 'effect', async (input, context) => {
      const { request, answer, output } = await call(input, context);
      const { origin, pathname } = new URL(answer.url);
      const { operationId } = input;
      const entry = auditOf(audit, context, `openapi.${request.method.toLowerCase()}`, {
        operationId: operationId!,
        url: origin + pathname,
        status: answer.status,
      });
      return { output, writes: [entry] };
    }),
  ];
}

function requestOf(input: JsonObject) {
  const operation = fixedOf(input).operation as unknown as OpenApiOperation;
  return openApiRequest(operation, (input.parameters ?? {}) as JsonObject);
}
