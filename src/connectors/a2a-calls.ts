import { createHash } from 'node:crypto';
import { AiosError } from '../kernel/errors.ts';
import { exactJson } from '../kernel/exact-integers.ts';
import { isObject, type Json, type JsonObject } from '../kernel/json.ts';
import type { Authentication } from './authentication.ts';
import { mayPass } from './delivery.ts';
import { GuardedFetch } from './guarded-fetch.ts';
import type { Outgoing } from './outgoing.ts';
import { redact } from './secrets.ts';

interface A2aCall {
  /** As the specification of flows has it: the names of A2A 0.3, `message/send`. */
  readonly method: string;
  readonly parameters?: JsonObject | undefined;
  /** Where the agent's card lies, or the agent itself when `isCard` is false. */
  readonly uri: string;
  readonly isCard: boolean;
  readonly authentication?: Authentication | undefined;
  readonly idempotencyKey: string;
  readonly signal: AbortSignal;
}

interface Agent {
  readonly url: string;
  /** `0.3` or `1.0`; undefined when nothing says it. */
  readonly version: string | undefined;
}

const STREAMS = ['message/stream', 'tasks/resubscribe'];
const METHOD_NOT_FOUND = -32601;

/** Calls of agents by A2A's JSON-RPC, in the words of 0.3 or of 1.0 as the agent speaks them; one attempt. The library is loaded by the first call. */
export class A2aCalls {
  readonly #outgoing: Outgoing;

  constructor(outgoing: Outgoing) {
    this.#outgoing = outgoing;
  }

  /**
   * The JSON-RPC result, for the methods that stream the list of all results.
   *
   * @throws AiosError `connectors.refused` (with `rpcCode`: the agent's own error), `connectors.failed`, `connectors.unreachable` (nothing was sent to the agent),
   * `connectors.outcome_unknown`, `connectors.egress_refused`, `connectors.input_invalid`, `connectors.response_invalid`, `connectors.response_too_large`
   * @example await a2a.call({ method: 'tasks/get', uri: 'https://example.org/.well-known/agent-card.json', isCard: true, … })
   */
  async call(call: A2aCall): Promise<Json> {
    const signal = AbortSignal.any([call.signal, AbortSignal.timeout(this.#outgoing.limits.a2aCallMs)]);
    const { uri, authentication } = call;
    const guard = new GuardedFetch(this.#outgoing, { authentication, signal, origin: addressOf(uri).origin });
    let agent: Agent = { url: uri, version: undefined };
    try {
      if (call.isCard) agent = await agentOf(uri, guard);
    } catch (error) {
      throw toldBy(error, guard, false, call.signal);
    }
    try {
      return await this.#send(call, agent.version ?? '0.3', agent.url, guard);
    } catch (error) {
      const known = error instanceof AiosError && error.extensions.rpcCode;
      // The agent knows no method of that name, so that nothing was done: it may speak 1.0.
      if (agent.version === undefined && known === METHOD_NOT_FOUND)
        return this.#send(call, '1.0', agent.url, guard);
      throw error;
    }
  }

  async #send(call: A2aCall, version: string, url: string, guard: GuardedFetch): Promise<Json> {
    const isModern = !version.startsWith('0.');
    const method = isModern ? await modernName(call.method) : call.method;
    const params = parametersOf(call, isModern);
    try {
      const response = await guard.fetch(addressOf(url), {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: STREAMS.includes(call.method) ? 'text/event-stream' : 'application/json',
          ...(isModern ? { 'A2A-Version': version } : {}),
        },
        body: JSON.stringify({ jsonrpc: '2.0', id: call.idempotencyKey, method, params }),
      });
      if (!response.ok) throw await refusal(response);
      if (/^text\/event-stream/.test(response.headers.get('content-type') ?? ''))
        return await streamed(response);
      const result = resultOf(await response.text());
      return STREAMS.includes(call.method) ? [result] : result;
    } catch (error) {
      throw toldBy(error, guard, true, call.signal);
    }
  }
}

/** Who the card describes: the first interface that speaks JSON-RPC. */
async function agentOf(uri: string, guard: GuardedFetch): Promise<Agent> {
  const { DefaultAgentCardResolver } = await import('@a2a-js/sdk/client');
  const resolver = new DefaultAgentCardResolver({
    fetchImpl: guard.fetch as typeof fetch,
    legacyCompat: { enabled: true },
  });
  const card = await resolver.resolve(uri, '');
  const found = card.supportedInterfaces.find(({ protocolBinding }) => protocolBinding === 'JSONRPC');
  if (!found)
    throw new AiosError('connectors.input_invalid', { detail: `The agent of ${uri} speaks no JSON-RPC.` });
  return { url: new URL(found.url, uri).href, version: found.protocolVersion || '0.3' };
}

async function modernName(method: string): Promise<string> {
  if (method === 'tasks/list') return 'ListTasks';
  const { legacyJsonRpcToV1Method } = await import('@a2a-js/sdk/compat/v0_3');
  return legacyJsonRpcToV1Method(method);
}

/** With the defaults of the specification: who speaks is the user, and a message has an id, the same at each attempt of a step. */
function parametersOf({ method, parameters = {}, idempotencyKey }: A2aCall, isModern: boolean): JsonObject {
  if (method !== 'message/send' && method !== 'message/stream') return parameters;
  const message = isObject(parameters.message) ? parameters.message : {};
  const complete: JsonObject = { role: 'user', messageId: uuidOf(idempotencyKey), ...message };
  if (!isModern) return { ...parameters, message: { kind: 'message', ...complete } };
  const { kind: _, ...rest } = complete;
  const parts = Array.isArray(rest.parts) ? rest.parts.map(modernPart) : [];
  const role = { user: 'ROLE_USER', agent: 'ROLE_AGENT' }[String(rest.role)] ?? rest.role!;
  return { ...parameters, message: { ...rest, role, parts } };
}

/** A part in the words of 1.0; one that is so already stays. */
function modernPart(part: Json): Json {
  if (!isObject(part) || typeof part.kind !== 'string') return part;
  const { kind, file, ...rest } = part;
  if (kind !== 'file' || !isObject(file)) return rest;
  const { uri, bytes, mimeType, name } = file;
  return {
    ...rest,
    ...(uri === undefined ? { raw: bytes ?? '' } : { url: uri }),
    ...(mimeType === undefined ? {} : { mediaType: mimeType }),
    ...(name === undefined ? {} : { filename: name }),
  };
}

function uuidOf(key: string): string {
  const hex = createHash('sha256').update(key).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

async function streamed(response: Response): Promise<Json[]> {
  const { parseSseStream } = await import('@a2a-js/sdk');
  const results: Json[] = [];
  for await (const { data } of parseSseStream(response)) if (data.trim() !== '') results.push(resultOf(data));
  return results;
}

function resultOf(text: string): Json {
  let answer: Json;
  try {
    answer = exactJson(text);
  } catch {
    answer = null;
  }
  if (isObject(answer) && isObject(answer.error)) {
    const { code = null, message = '', data } = answer.error;
    const more = data === undefined || data === null ? '' : ` ${JSON.stringify(data).slice(0, 500)}`;
    throw new AiosError('connectors.refused', {
      detail: `${String(code)}: ${String(message)}${more}`,
      extensions: { rpcCode: code },
    });
  }
  if (isObject(answer) && answer.result !== undefined) return answer.result;
  throw new AiosError('connectors.response_invalid', { detail: `No JSON-RPC answer: ${text.slice(0, 200)}` });
}

async function refusal(response: Response): Promise<AiosError> {
  const text = await response.text();
  const { status } = response;
  if (/"jsonrpc"/.test(text) && /"error"/.test(text)) resultOf(text);
  return new AiosError(mayPass(status) ? 'connectors.failed' : 'connectors.refused', {
    detail: `Status ${status}: ${text.slice(0, 500)}`,
    extensions: { remoteStatus: status },
  });
}

function toldBy(error: unknown, guard: GuardedFetch, sent: boolean, signal: AbortSignal): AiosError {
  const detail = redact(error instanceof Error ? error.message : String(error), guard.sent);
  if (error instanceof AiosError) return new AiosError(error.code, { detail, extensions: error.extensions });
  if (guard.failure) return guard.failure;
  if (!sent)
    return new AiosError(signal.aborted ? 'connectors.canceled' : 'connectors.unreachable', { detail });
  return new AiosError('connectors.outcome_unknown', {
    detail,
    ...(signal.aborted ? { extensions: { canceled: true } } : {}),
  });
}

function addressOf(text: string): URL {
  const url = URL.parse(text);
  if (url && /^https?:$/.test(url.protocol) && !url.username) return url;
  throw new AiosError('connectors.input_invalid', {
    detail: `“${text.slice(0, 200)}” is not an address of http or https without credentials.`,
  });
}
