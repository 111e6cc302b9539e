import { destinationOf } from '../../kernel/destination.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import { AUTHENTICATION, type CallTarget, fixedOf, readingAndActing, type SecretsPort } from './outgoing.ts';
import type { CallPrimitive, StepContext } from './primitive.ts';
import type { AuditPort } from './records.ts';

/** What these primitives need of the connectors. */
export interface GrpcPort {
  call(call: {
    host: string;
    port?: number | undefined;
    path: string;
    responseStream: boolean;
    descriptors: string;
    arguments: JsonObject;
    authentication?: JsonObject | undefined;
    idempotencyKey: string;
    signal: AbortSignal;
  }): Promise<Json>;
}

const INPUT: JsonObject = {
  type: 'object',
  additionalProperties: false,
  required: ['proto', 'service', 'method'],
  properties: {
    proto: {
      description: 'read when the flow is applied; the descriptors of the method are kept with the flow',
    },
    service: {
      type: 'object',
      additionalProperties: false,
      required: ['name', 'host'],
      properties: {
        name: { type: 'string' },
        host: { type: 'string' },
        port: { type: 'integer', minimum: 1, maximum: 65_535 },
        authentication: AUTHENTICATION,
      },
    },
    method: { type: 'string' },
    arguments: { type: 'object' },
  },
};

/**
 * `call: grpc` of the specification (dsl-reference.md, "gRPC Call"). A method that says that it has no side effects is reading, every other acts. The method is
 * that of the file when the flow was applied, fixed by the compiler as `operation`. TLS on port 443, and on any other for a host written as `https://host`.
 */
export function grpcPrimitives(
  grpc: GrpcPort,
  secrets: SecretsPort,
  audit: AuditPort,
): [CallPrimitive, CallPrimitive] {
  const call = (input: JsonObject, { idempotencyKey, signal }: StepContext) => {
    const { host, port, authentication } = input.service as JsonObject;
    const { path, responseStream, descriptors } = fixedOf(input).operation!;
    return grpc.call({
      host: String(host),
      port: port as number | undefined,
      path: String(path),
      responseStream: responseStream === true,
      descriptors: String(descriptors),
      arguments: (input.arguments ?? {}) as JsonObject,
      authentication: authentication as JsonObject | undefined,
      idempotencyKey,
      signal,
    });
  };
  return readingAndActing<Json>(secrets, audit, {
    name: 'grpc',
    inputSchema: INPUT,
    call,
    outputOf: (answer) => answer,
    actionOf: (input) => {
      const { host, port = null } = input.service as JsonObject;
      const { path } = fixedOf(input).operation!;
      return { action: 'grpc.call', payload: { host: host!, port, path: path! } };
    },
    targetOf,
  });
}

function targetOf({ service }: JsonObject): CallTarget {
  const { host, port } = service as JsonObject;
  const server = destinationOf(/^https?:\/\//.test(String(host)) ? String(host) : `https://${host}`);
  const to =
    server && typeof server === 'object' && port !== undefined ? { ...server, port: Number(port) } : server;
  return { to, policyAt: '/service/authentication' };
}
