import { destinationOf } from '../../kernel/destination.ts';
import { type DurationParts, parseDuration } from '../../kernel/duration.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import { type CallTarget, ENDPOINT, endpointOf, readingAndActing, type SecretsPort } from './outgoing.ts';
import type { CallPrimitive, StepContext } from './primitive.ts';
import type { AuditPort } from './records.ts';
import { rpc } from './rpc.ts';

/** What these primitives need of the connectors. */
export interface McpPort {
  call(call: {
    method: string;
    parameters?: JsonObject | undefined;
    protocolVersion: string;
    client: { name: string; version: string };
    transport:
      | {
          http: {
            uri: string;
            authentication?: JsonObject | undefined;
            headers?: Record<string, string> | undefined;
          };
        }
      | {
          stdio: {
            command: string;
            arguments?: string[] | undefined;
            environment?: Record<string, string> | undefined;
          };
        };
    timeoutMs?: number | undefined;
    idempotencyKey: string;
    signal: AbortSignal;
  }): Promise<Json>;
}

const PROTOCOL_VERSION = '2025-06-18';
const READING = [
  'tools/list',
  'prompts/list',
  'prompts/get',
  'resources/list',
  'resources/read',
  'resources/templates/list',
];
const METHODS = [...READING, 'tools/call'];
const text = { type: 'string' };
const texts = { type: 'object', additionalProperties: text };
const object = (properties: JsonObject, required: string[]): JsonObject => ({
  type: 'object',
  additionalProperties: false,
  properties,
  required,
});
const HTTP = object({ endpoint: ENDPOINT, headers: texts }, ['endpoint']);
const STDIO = (commands: readonly string[]) =>
  object(
    { command: { enum: [...commands] }, arguments: { type: 'array', items: text }, environment: texts },
    ['command'],
  );
const inputSchema = (transport: JsonObject): JsonObject =>
  object(
    {
      protocolVersion: { type: 'string', pattern: '^\\d{4}-\\d{2}-\\d{2}$' },
      method: { enum: METHODS },
      parameters: { type: 'object' },
      timeout: { type: ['string', 'object'] },
      transport: object(
        { ...transport, options: { type: 'object', additionalProperties: text } },
        Object.keys(transport),
      ),
      client: object({ name: text, version: text }, ['name', 'version']),
    },
    ['method', 'transport'],
  );

/** Whether a method of MCP changes nothing: all but the call of a tool. */
export function isMcpReading(method: unknown): boolean {
  return READING.includes(String(method));
}

/**
 * `call: mcp` of the specification (dsl-reference.md, "MCP Call"), over streamable HTTP, and over stdio with the commands that an operator allows. Reading and
 * acting (`tools/call`) are two primitives, as for `call: http`. Output: the JSON-RPC result; that of a tool that failed has `isError`.
 */
export function mcpPrimitives(
  mcp: McpPort,
  secrets: SecretsPort,
  audit: AuditPort,
  commands: readonly string[],
): CallPrimitive[] {
  const call = (input: JsonObject, { idempotencyKey, signal, stepKey }: StepContext) => {
    const { method, parameters, protocolVersion = PROTOCOL_VERSION, client, timeout } = input;
    return rpc(stepKey, () =>
      mcp.call({
        method: String(method),
        parameters: parameters as JsonObject | undefined,
        protocolVersion: String(protocolVersion),
        client: (client ?? { name: 'aios', version: '1' }) as { name: string; version: string },
        transport: transportOf(input.transport as JsonObject),
        timeoutMs: timeout === undefined ? undefined : parseDuration(timeout as string | DurationParts),
        idempotencyKey,
        signal,
      }),
    );
  };
  const pair = (suffix: string, schema: JsonObject) =>
    readingAndActing<Json>(secrets, audit, {
      name: `mcp${suffix}`,
      inputSchema: schema,
      call,
      outputOf: (answer) => answer,
      actionOf: (input, answer) => {
        const { name = null } = (input.parameters ?? {}) as JsonObject;
        const payload = {
          tool: name,
          server: serverOf(input.transport as JsonObject),
          isError: (answer as JsonObject).isError === true,
        };
        return { action: 'mcp.tools/call', payload };
      },
      targetOf,
    });
  return [
    ...pair('', inputSchema({ http: HTTP })),
    ...(commands.length > 0 ? pair('-stdio', inputSchema({ stdio: STDIO(commands) })) : []),
  ];
}

function targetOf({ transport }: JsonObject): CallTarget {
  const { http } = transport as JsonObject;
  if (!http) return { to: 'process' };
  const { uri } = endpointOf((http as JsonObject).endpoint);
  return { to: destinationOf(uri), policyAt: '/transport/http/endpoint/authentication' };
}

function transportOf({ http, stdio }: JsonObject): Parameters<McpPort['call']>[0]['transport'] {
  if (stdio) return { stdio: stdio as never };
  const { endpoint, headers } = http as JsonObject;
  return { http: { ...endpointOf(endpoint), headers: headers as Record<string, string> | undefined } };
}

/** Who was called, without the query: an address may hold more than a name there. */
function serverOf({ http, stdio }: JsonObject): string {
  if (stdio) return String((stdio as JsonObject).command);
  const { origin, pathname } = new URL(endpointOf((http as JsonObject).endpoint).uri);
  return origin + pathname;
}
