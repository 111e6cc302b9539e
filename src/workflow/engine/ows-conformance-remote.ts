import { AiosError } from '../../kernel/errors.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import { limitsFrom } from '../../kernel/limits.ts';
import { write } from '../../store/lane.ts';
import { a2aPrimitives } from '../catalog/a2a.ts';
import { asyncApiPrimitives } from '../catalog/asyncapi.ts';
import { grpcPrimitives } from '../catalog/grpc.ts';
import { httpPrimitives } from '../catalog/http.ts';
import { mcpPrimitives } from '../catalog/mcp.ts';
import { openApiPrimitives } from '../catalog/openapi.ts';
import type { Primitive } from '../catalog/primitive.ts';
import type { StoreFixture } from './engine-conformance-world.ts';

/** What a system outside answers to one request: its content, or the status (of HTTP) or error (of JSON-RPC) that refuses. */
export interface RemoteAnswer {
  output?: Json;
  status?: number;
  headers?: Record<string, string>;
  rpc?: { code: number; message: string };
}

/** Systems outside that answer in order, the last one for ever; what they were asked is kept. */
export class RemoteSystems {
  readonly requests: JsonObject[] = [];
  readonly primitives: Primitive[];
  readonly #answers: readonly RemoteAnswer[];

  constructor(
    answers: readonly RemoteAnswer[],
    secrets: { readonly [name: string]: string },
    notes: StoreFixture['notes'],
  ) {
    this.#answers = answers;
    const audit = (entry: object) => write(notes, JSON.stringify(entry));
    const fill = { fill: (input: JsonObject, places: readonly string[]) => filled(input, places, secrets) };
    const http = { call: async (request: object) => this.#http(request as JsonObject) };
    const ask = (protocol: string) => ({
      call: async (request: object) => this.#ask(protocol, request as JsonObject),
    });
    const messages = (protocol: string) => ({
      publish: async (request: object) => void this.#ask(protocol, request as JsonObject),
      subscribe: async (request: { take: (message: JsonObject) => boolean }) => {
        const all = this.#ask(protocol, request as never) as JsonObject[];
        all.some((message) => request.take(message));
      },
    });
    const ports = { http, mqtt: messages('mqtt'), webSocket: messages('ws') };
    this.primitives = [
      ...httpPrimitives(http, fill, audit),
      ...openApiPrimitives(http, fill, audit),
      ...grpcPrimitives(ask('grpc'), fill, audit),
      ...mcpPrimitives(ask('mcp'), fill, audit, []),
      ...a2aPrimitives(ask('a2a'), fill, audit),
      ...asyncApiPrimitives(ports, fill, audit, limitsFrom().connectorResponseBytesMax),
    ];
  }

  #http(request: JsonObject) {
    const { status = 200, headers = { 'content-type': 'application/json' } } = this.#next();
    const output = this.#ask('http', request);
    const text = typeof output === 'string' ? output : JSON.stringify(output);
    return { status, headers, text, url: String(request.url) };
  }

  #ask(protocol: string, { signal: _, idempotencyKey: __, ...request }: JsonObject): Json {
    const { output = null, status = 200, rpc } = this.#next();
    this.requests.push(JSON.parse(JSON.stringify({ protocol, ...request })) as JsonObject);
    if (rpc)
      throw new AiosError('connectors.refused', {
        detail: `${rpc.code}: ${rpc.message}`,
        extensions: { rpcCode: rpc.code },
      });
    if (status > 299)
      throw new AiosError('connectors.refused', {
        detail: `Status ${status}: ${JSON.stringify(output)}`,
        extensions: { remoteStatus: status },
      });
    return output;
  }

  #next(): RemoteAnswer {
    return this.#answers[Math.min(this.requests.length, this.#answers.length - 1)] ?? {};
  }
}

/** References to secrets, at the places that the compiler names. */
function filled(input: JsonObject, places: readonly string[], secrets: { readonly [name: string]: string }) {
  const values: string[] = [];
  if (places.length === 0) return { input, values };
  // Spread first: what the definition fixed has no name that a clone would copy.
  const copy: JsonObject = { ...input, ...(JSON.parse(JSON.stringify(input)) as JsonObject) };
  for (const place of places) {
    const path = place.split('/').slice(1);
    const last = path.pop()!;
    const holder = path.reduce((value, name) => value[name] as JsonObject, copy);
    holder[last] = String(holder[last]).replace(/\{secrets\.([\w-]+)\}/g, (_, name: string) => {
      const value = secrets[name];
      if (value === undefined) throw new AiosError('connectors.variable_unset', { detail: name });
      values.push(value);
      return value;
    });
  }
  return { input: copy, values };
}
