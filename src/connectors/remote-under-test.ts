import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { readDocument } from '../kernel/document.ts';
import { limitsFrom } from '../kernel/limits.ts';
import type { Definition } from '../store/definitions.ts';
import { parseConnector } from './connector-kind.ts';
import { Connectors } from './connectors.ts';
import type { Resolve } from './egress.ts';
import { connectorVariables } from './secrets.ts';

/** A connector with an operation that its receiver does once, one that it does not, and one that reads. */
export const CONNECTOR = `
name: refunds
type: http
baseUrl: \${env.REFUNDS_URL}
allowPrivate: ['\${env.REFUNDS_URL}']
headers: { authorization: 'Bearer \${secrets.TOKEN}' }
timeoutMs: 5000
retry: { attemptsMax: 3, backoff: { initialMs: 1, maxMs: 40 } }
breaker: { failuresMax: 6, openMs: 50 }
concurrencyMax: 2
costPerCallUsd: 0.002
operations:
  refund:
    method: POST
    path: /refunds/{returnId}
    input: { type: object, required: [amount], properties: { amount: { type: number } } }
    body: { amount: input.amount, note: '"for " + input.returnId' }
    response: '{"id": body.refund.id, "status": status}'
    success: [200, 201]
    idempotent: true
  charge: { method: POST, path: /charges }
  find:
    method: GET
    path: /refunds
    query: { customer: input.customer, page: 'input.?page' }
`;

export interface Seen {
  method: string;
  url: string;
  headers: IncomingMessage['headers'];
  body: string;
}
export type Respond = (response: ServerResponse, call: number, seen: Seen) => void;

export const json = (response: ServerResponse, status: number, body: unknown, headers = {}) =>
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
export const ok: Respond = (response) => void json(response, 201, { refund: { id: 're-1' } });

/** An outside system: what it saw, and what it answers. */
export class Remote {
  readonly seen: Seen[] = [];
  respond: Respond = ok;
  readonly #server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const { method = '', url = '', headers } = request;
    const call = { method, url, headers, body };
    this.seen.push(call);
    this.respond(response, this.seen.length, call);
  });

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

export function defineConnector(text: string, version = 3): Definition {
  const { name, body } = parseConnector(readDocument(text, 'connectors/refunds.yaml'));
  const digest = `sha256:${version}`;
  return { kind: 'connector', name, version, digest, body, source: text, createdAt: 0, createdBy: 'test' };
}

/** Connectors of one definition; `change` gives them a new version. */
export function openConnectors(text: string, env: Record<string, string>, limits = '', resolve?: Resolve) {
  const told: string[] = [];
  let change: (changed: Definition[]) => void = () => {};
  const connectors = new Connectors({
    definitions: {
      list: () => [defineConnector(text)],
      onChange: (listener) => {
        change = (changed) => void listener(changed);
        return () => {};
      },
    },
    limits: limitsFrom(limits),
    variables: connectorVariables({ env }),
    ...(resolve ? { resolve } : {}),
    onCircuit: ({ connector, state, reason }) => void told.push(`${connector} ${state}: ${reason}`),
  });
  return { connectors, told, change: (changed: Definition[]) => change(changed) };
}
