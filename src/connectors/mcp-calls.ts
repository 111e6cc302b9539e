import type { Client, Transport } from '@modelcontextprotocol/client';
import { AiosError } from '../kernel/errors.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import type { Authentication } from './authentication.ts';
import { mayPass } from './delivery.ts';
import { GuardedFetch } from './guarded-fetch.ts';
import type { Outgoing } from './outgoing.ts';
import { redact } from './secrets.ts';

interface McpCall {
  /** `tools/call`, `resources/read`, … */
  readonly method: string;
  readonly parameters?: JsonObject | undefined;
  readonly protocolVersion: string;
  readonly client: { readonly name: string; readonly version: string };
  readonly transport: McpTransport;
  readonly timeoutMs?: number | undefined;
  readonly idempotencyKey: string;
  readonly signal: AbortSignal;
}

type McpTransport =
  | {
      readonly http: {
        readonly uri: string;
        readonly authentication?: Authentication | undefined;
        readonly headers?: Readonly<Record<string, string>> | undefined;
      };
    }
  | {
      readonly stdio: {
        readonly command: string;
        readonly arguments?: readonly string[] | undefined;
        readonly environment?: Readonly<Record<string, string>> | undefined;
      };
    };

/** Where a receiver finds the idempotency key of `tools/call`. */
const KEY_MEMBER = 'aios/idempotencyKey';
/** The first revision without the `initialize` handshake: asked for it, a client accepts no other. */
const WITHOUT_HANDSHAKE = '2026';
const CLOSING_MS = 1_000;

/** Calls of MCP servers: a session for each call, one attempt. The client library is loaded by the first call. */
export class McpCalls {
  readonly #outgoing: Outgoing;

  constructor(outgoing: Outgoing) {
    this.#outgoing = outgoing;
  }

  /**
   * The JSON-RPC result of a method, after the handshake.
   *
   * @throws AiosError `connectors.refused` (with `rpcCode`: the server's own error), `connectors.failed`, `connectors.unreachable` (before the method was sent),
   * `connectors.outcome_unknown`, `connectors.egress_refused`, `connectors.input_invalid`, `connectors.response_too_large`
   * @example await mcp.call({ method: 'tools/list', transport: { http: { uri: 'https://example.org/mcp' } }, … })
   */
  async call(call: McpCall): Promise<Json> {
    const { Client, SUPPORTED_PROTOCOL_VERSIONS } = await import('@modelcontextprotocol/client');
    const timeout = call.timeoutMs ?? this.#outgoing.limits.httpCallMs;
    const guard = new GuardedFetch(this.#outgoing, {
      authentication: 'http' in call.transport ? call.transport.http.authentication : undefined,
      headers: 'http' in call.transport ? call.transport.http.headers : undefined,
      signal: call.signal,
    });
    const { protocolVersion } = call;
    const client = new Client(call.client, {
      supportedProtocolVersions: [...new Set([protocolVersion, ...SUPPORTED_PROTOCOL_VERSIONS])],
      ...(protocolVersion >= WITHOUT_HANDSHAKE
        ? { versionNegotiation: { mode: { pin: protocolVersion } } }
        : {}),
    });
    let sent = false;
    try {
      await client.connect(await transportOf(call.transport, guard), { timeout, signal: call.signal });
      sent = true;
      const params = withKey(call);
      const request = { method: call.method as 'tools/call', params: params as never };
      return (await client.request(request, { timeout, signal: call.signal })) as unknown as Json;
    } catch (error) {
      throw toldBy(error, guard, sent, call.signal);
    } finally {
      await close(client);
    }
  }
}

async function transportOf(transport: McpTransport, guard: GuardedFetch): Promise<Transport> {
  if ('stdio' in transport) {
    const { StdioClientTransport } = await import('@modelcontextprotocol/client/stdio');
    const { command, arguments: args = [], environment = {} } = transport.stdio;
    return new StdioClientTransport({ command, args: [...args], env: { ...environment }, stderr: 'ignore' });
  }
  const { StreamableHTTPClientTransport } = await import('@modelcontextprotocol/client');
  const url = URL.parse(transport.http.uri);
  if (!url || !/^https?:$/.test(url.protocol) || url.username)
    throw new AiosError('connectors.input_invalid', {
      detail: `“${transport.http.uri.slice(0, 200)}” is not an address of http or https without credentials.`,
    });
  return new StreamableHTTPClientTransport(url, {
    fetch: guard.fetch as never,
    // One attempt: whether to try again is the flow's to say.
    reconnectionOptions: {
      maxRetries: 0,
      initialReconnectionDelay: 1,
      maxReconnectionDelay: 1,
      reconnectionDelayGrowFactor: 1,
    },
  });
}

function withKey({ method, parameters, idempotencyKey }: McpCall): JsonObject | undefined {
  if (method !== 'tools/call') return parameters;
  const meta = (parameters?._meta ?? {}) as JsonObject;
  return { ...parameters, _meta: { ...meta, [KEY_MEMBER]: idempotencyKey } };
}

/** A session that cannot be ended in time ends by itself. */
async function close(client: Client): Promise<void> {
  const transport = client.transport as { terminateSession?: () => Promise<void> } | undefined;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, CLOSING_MS);
  });
  await Promise.race([transport?.terminateSession?.().catch(() => {}), late]);
  clearTimeout(timer);
  await client.close().catch(() => {});
}

function toldBy(error: unknown, guard: GuardedFetch, sent: boolean, signal: AbortSignal): AiosError {
  const { message, code, status } = error as { message?: string; code?: unknown; status?: unknown };
  const detail = redact(String(message ?? error), guard.sent);
  if (error instanceof AiosError) return error;
  if (guard.failure) return guard.failure;
  if (typeof code === 'number')
    return new AiosError('connectors.refused', {
      detail: `${code}: ${detail}`,
      extensions: { rpcCode: code },
    });
  if (typeof status === 'number' && status >= 400)
    return new AiosError(mayPass(status) ? 'connectors.failed' : 'connectors.refused', {
      detail: `Status ${status}: ${detail}`,
      extensions: { remoteStatus: status },
    });
  if (!sent)
    return new AiosError(signal.aborted ? 'connectors.canceled' : 'connectors.unreachable', { detail });
  return new AiosError('connectors.outcome_unknown', {
    detail,
    ...(signal.aborted ? { extensions: { canceled: true } } : {}),
  });
}
