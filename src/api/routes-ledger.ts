import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { AiosError } from '../kernel/errors.ts';
import { type Caller, route } from './routes.ts';
import { AnyObject, pageOf, pageQuery } from './shapes.ts';

/** What is asked of the ledger; `app.ts` hands it in. Objects are shown as they come, times as RFC 3339 texts. */
export interface LedgerPort {
  /** The signed note of the newest checkpoint (C2SP tlog-checkpoint). */
  checkpoint(): Promise<string>;
  /** A tile or entry bundle by its path in C2SP tlog-tiles, `tile/0/x001/067.p/8`; undefined for one that does not exist. */
  tile(path: string): Promise<Uint8Array | undefined>;
  publicKey(): { name: string; publicKey: string };
  entries(filters: {
    object?: string | undefined;
    kind?: string | undefined;
    cursor?: string | undefined;
    limit: number;
  }): Promise<{ items: readonly unknown[]; nextCursor: string | null }>;
  /** One entry; with its payload when the caller may see personal data. */
  entry(index: number, withPayload: boolean): Promise<unknown>;
  /** Inclusion of an entry in the tree of a size; the newest checkpoint's when left out. */
  proof(index: number, size: number | undefined): Promise<unknown>;
  lineage(runId: string): Promise<unknown>;
  costs(filters: {
    groupBy: 'service' | 'workflow' | 'day';
    sinceMs?: number | undefined;
    untilMs?: number | undefined;
  }): Promise<readonly unknown[]>;
}

interface Dependencies {
  ledger: LedgerPort;
  can(caller: Caller, permission: string): boolean;
}

const Index = Type.Integer({ minimum: 0 });
const Time = Type.Optional(Type.String({ format: 'date-time' }));
// 256 hashes, or the entries under them: only a whole tile never changes.
const WHOLE = 'public, max-age=31536000, immutable';

/** The audit log in the paths of C2SP tlog-tiles, so that other people's verifiers read it; lineage and costs. */
export function ledgerRoutes(dependencies: Dependencies): (server: FastifyInstance) => void {
  return (server) => {
    logRoutes(server, dependencies);
    entryRoutes(server, dependencies);
    moneyRoutes(server, dependencies);
  };
}

function logRoutes(server: FastifyInstance, { ledger }: Dependencies): void {
  const tag = 'audit';
  route(server, {
    method: 'GET',
    url: '/api/v1/audit/checkpoint',
    permission: 'audit.read',
    summary: 'The newest checkpoint: a signed note',
    tag,
    handle: async ({ reply }) => reply.type('text/plain; charset=utf-8').send(await ledger.checkpoint()),
  });
  route(server, {
    method: 'GET',
    url: '/api/v1/audit/key',
    permission: 'audit.read',
    summary: 'The public key that checkpoints are verified with',
    tag,
    answer: Type.Object({ name: Type.String(), publicKey: Type.String() }),
    handle: () => ledger.publicKey(),
  });
  route(server, {
    method: 'GET',
    url: '/api/v1/audit/tile/*',
    permission: 'audit.read',
    summary: 'A tile of hashes `{L}/{N}[.p/{W}]`, or a bundle of entries `entries/{N}[.p/{W}]`',
    tag,
    params: Type.Object({ '*': Type.String() }),
    handle: async ({ params, reply }) => {
      const path = params['*'];
      const bytes = await ledger.tile(`tile/${path}`);
      if (!bytes) throw new AiosError('request.not_found', { detail: `There is no tile ${path}.` });
      reply.header('cache-control', path.includes('.p/') ? 'no-cache' : WHOLE);
      return reply.type('application/octet-stream').send(Buffer.from(bytes));
    },
  });
  route(server, {
    method: 'GET',
    url: '/api/v1/audit/proof',
    permission: 'audit.read',
    summary: 'The proof that an entry is in the tree of a size',
    tag,
    query: Type.Object({ index: Index, size: Type.Optional(Index) }, { additionalProperties: false }),
    answer: AnyObject,
    handle: ({ query }) => ledger.proof(query.index, query.size),
  });
}

function entryRoutes(server: FastifyInstance, { ledger, can }: Dependencies): void {
  const tag = 'audit';
  route(server, {
    method: 'GET',
    url: '/api/v1/audit/entries',
    permission: 'audit.read',
    summary: 'Audit entries, newest first',
    tag,
    query: pageQuery({ object: Type.Optional(Type.String()), kind: Type.Optional(Type.String()) }),
    answer: pageOf(AnyObject),
    handle: ({ query: { limit = 50, ...filters } }) => ledger.entries({ ...filters, limit }),
  });
  route(server, {
    method: 'GET',
    url: '/api/v1/audit/entries/:index',
    permission: 'audit.read',
    summary: 'One audit entry; with its payload for those who may see it',
    tag,
    params: Type.Object({ index: Index }),
    answer: AnyObject,
    handle: ({ params, caller }) => ledger.entry(params.index, can(caller, 'audit.payload')),
  });
  route(server, {
    method: 'GET',
    url: '/api/v1/lineage',
    permission: 'audit.read',
    summary: 'What a run was made from: event, contract, features, model, decision, flow',
    tag: 'lineage',
    query: Type.Object({ run: Type.String({ minLength: 1 }) }, { additionalProperties: false }),
    answer: AnyObject,
    handle: ({ query }) => ledger.lineage(query.run),
  });
}

function moneyRoutes(server: FastifyInstance, { ledger }: Dependencies): void {
  route(server, {
    method: 'GET',
    url: '/api/v1/costs',
    permission: 'costs.read',
    summary: 'Costs by service, workflow or day',
    tag: 'costs',
    query: Type.Object(
      {
        groupBy: Type.Optional(Type.String({ enum: ['service', 'workflow', 'day'], default: 'service' })),
        since: Time,
        until: Time,
      },
      { additionalProperties: false },
    ),
    answer: pageOf(AnyObject),
    handle: async ({ query: { groupBy = 'service', since, until } }) => ({
      items: await ledger.costs({
        groupBy: groupBy as 'service' | 'workflow' | 'day',
        sinceMs: since === undefined ? undefined : Date.parse(since),
        untilMs: until === undefined ? undefined : Date.parse(until),
      }),
      nextCursor: null,
    }),
  });
}
