import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { OpenLineageEvent } from '../src/ledger/openlineage/event.ts';

/** A receiver of OpenLineage events that answers as it is told. */
export interface Receiver {
  readonly url: string;
  readonly events: OpenLineageEvent[];
  /** Those too that a test took away. */
  readonly all: OpenLineageEvent[];
  readonly keys: (string | undefined)[];
  /** The status of answers; 201 takes them. */
  status: number;
  close(): Promise<void>;
}

export async function startReceiver(): Promise<Receiver> {
  const events: OpenLineageEvent[] = [];
  const all: OpenLineageEvent[] = [];
  const keys: (string | undefined)[] = [];
  const receiver = { status: 201 };
  const server: Server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    if (receiver.status === 201 && request.url === '/marquez/api/v1/lineage') {
      events.push(JSON.parse(Buffer.concat(chunks).toString()) as OpenLineageEvent);
      all.push(events.at(-1)!);
      keys.push(request.headers.authorization);
    }
    response.writeHead(receiver.status).end('said so');
  });
  await new Promise<void>((listening) => void server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  return Object.assign(receiver, {
    ...{ events, all, keys, url: `http://127.0.0.1:${port}/marquez/` },
    close: () =>
      new Promise<void>((closed) => {
        server.closeAllConnections();
        server.close(() => closed());
      }),
  });
}

/** A project whose definitions, runs and passes are told, and its tables. */
export const TOLD_TABLES =
  "create schema shop; create table shop.stock (customer text, at timestamptz, units bigint, primary key (customer, at)); insert into shop.stock values ('c7', now() - interval '1 hour', 3)";
export const TOLD_PROJECT: Readonly<Record<string, string>> = {
  'contracts/order.yaml': `name: order
version: 1.0.0
owner: shop
description: An order.
schema: { type: object, properties: { customer: { type: string }, amount: { type: number } } }`,
  'contracts/judged.yaml': 'name: judged\nversion: 1.0.0\nowner: shop\nschema: { type: object }',
  'entities/customer.yaml': 'name: customer\njoinKeys: [customer]',
  'features/orders.yaml': `name: orders
entity: customer
owner: sales
source: { event: order }
keys: { customer: data.customer }
features: { spend: { aggregate: sum, of: data.amount } }`,
  'features/stock.yaml':
    'name: stock\nentity: customer\nsource: { table: shop.stock, timestamp: at }\nfeatures: { units: { type: int64 } }',
  'services/all.yaml': 'name: all\nviews: [orders, stock]\nderived: { twice: spend * 2.0 }',
  'workflows/outer.yaml': `document: { dsl: 1.0.0, namespace: test, name: outer, version: 1.0.0, title: Asks another }
do:
  - ask: { run: { workflow: { namespace: test, name: judge, version: 1.0.0, input: { amount: '\${ .amount }' } } } }`,
  'workflows/outermost.yaml': `document: { dsl: 1.0.0, namespace: test, name: outermost, version: 1.0.0 }
do:
  - ask: { run: { workflow: { namespace: test, name: outer, version: 1.0.0, input: { amount: '\${ .amount }' } } } }`,
  'workflows/patient.yaml': `document: { dsl: 1.0.0, namespace: test, name: patient, version: 1.0.0 }
schedule: { on: { one: { with: { type: order } } } }
do:
  - paid: { listen: { to: { one: { with: { type: judged, subject: nobody } } } } }`,
  'workflows/judge.yaml': `document: { dsl: 1.0.0, namespace: test, name: judge, version: 1.0.0 }
do:
  - judge:
      if: '\${ .amount > 100 }'
      raise: { error: { type: https://example.org/too-much, status: 400, title: Too much } }
  - tell: { emit: { event: { with: { source: urn:test, type: judged, data: { ok: true } } } } }`,
};
