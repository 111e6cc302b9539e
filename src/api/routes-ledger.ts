import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { AiosError } from '../kernel/errors.ts';
import { parseTileIndex, TILE_WIDTH } from '../kernel/merkle.ts';
import type { AuditReader, IndexedEntry } from '../ledger/audit-reader.ts';
import type { CostGroup, Costs } from '../ledger/costs.ts';
import { type Caller, route } from './routes.ts';
import { AnyObject, pageOf, pageQuery } from './shapes.ts';

interface Dependencies {
  audit: AuditReader;
  costs: Costs;
  can(caller: Caller, permission: string): boolean;
}

const Index = Type.Integer({ minimum: 0 });
const Time = Type.Optional(Type.String({ format: 'date-time' }));
const WHOLE = 'public, max-age=31536000, immutable';

/** The audit log in the paths of C2SP tlog-tiles, so that other people's verifiers read it; costs. */
export function ledgerRoutes(dependencies: Dependencies): (server: FastifyInstance) => void {
  return (server) => {
    logRoutes(server, dependencies);
    entryRoutes(server, dependencies);
    moneyRoutes(server, dependencies);
    focusRoute(server, dependencies);
  };
}

function logRoutes(server: FastifyInstance, { audit }: Dependencies): void {
  const tag = 'audit';
  route(server, {
    method: 'GET',
    url: '/api/v1/audit/checkpoint',
    permission: 'audit.read',
    summary: 'The newest checkpoint: a signed note',
    tag,
    handle: async ({ reply }) => {
      const note = await audit.checkpoint();
      if (note === undefined)
        throw new AiosError('ledger.not_found', { detail: 'No entry is in the tree yet.' });
      return reply.type('text/plain; charset=utf-8').header('cache-control', 'no-cache').send(note);
    },
  });
  route(server, {
    method: 'GET',
    url: '/api/v1/audit/key',
    permission: 'audit.read',
    summary: 'The public key that checkpoints are verified with',
    tag,
    answer: Type.Object({ name: Type.String(), publicKey: Type.String() }),
    handle: () => ({ name: audit.origin, publicKey: audit.verifier }),
  });
  route(server, {
    method: 'GET',
    url: '/api/v1/audit/tile/*',
    permission: 'audit.read',
    summary: 'A tile of hashes `{L}/{N}[.p/{W}]`, or a bundle of entries `entries/{N}[.p/{W}]`',
    tag,
    params: Type.Object({ '*': Type.String() }),
    handle: async ({ params, reply }) => {
      const { level, index, width } = parseTilePath(params['*']);
      const bytes =
        level === 'entries' ? await audit.bundle(index, width) : await audit.tile(level, index, width);
      // 256 hashes, or the entries under them: only a whole tile never changes.
      reply.header('cache-control', width === TILE_WIDTH ? WHOLE : 'no-cache');
      return reply.type('application/octet-stream').send(bytes);
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
    handle: ({ query }) => audit.inclusionProof(query.index, query.size),
  });
  route(server, {
    method: 'POST',
    url: '/api/v1/audit/verify',
    permission: 'audit.payload',
    summary:
      'Recompute the tree from every entry and check every payload against its digest; takes seconds on a large log',
    tag,
    answer: AnyObject,
    handle: () => audit.verify(),
  });
}

function entryRoutes(server: FastifyInstance, { audit, can }: Dependencies): void {
  const tag = 'audit';
  route(server, {
    method: 'GET',
    url: '/api/v1/audit/entries',
    permission: 'audit.read',
    summary: 'Audit entries, newest first',
    tag,
    query: pageQuery({
      object: Type.Optional(Type.String()),
      kind: Type.Optional(Type.String()),
      payloads: Type.Optional(
        Type.Boolean({
          description: 'Include payloads; needs audit.payload, and cannot be combined with object',
        }),
      ),
    }),
    answer: pageOf(AnyObject),
    handle: async ({ query: { object, kind, payloads = false, cursor, limit = 50 }, caller }) => {
      if (payloads && !can(caller, 'audit.payload'))
        throw new AiosError('access.forbidden', { detail: 'Payloads need the permission audit.payload.' });
      if (payloads && object !== undefined)
        throw new AiosError('request.invalid', {
          detail: 'Ask for payloads of all entries, or of one by its index.',
        });
      if (object !== undefined) return { items: (await audit.about(object)).reverse(), nextCursor: null };
      return pageOfEntries(audit, { kind, withPayloads: payloads }, cursor, limit);
    },
  });
  route(server, {
    method: 'GET',
    url: '/api/v1/audit/entries/:index',
    permission: 'audit.read',
    summary: 'One audit entry, with its payload if the caller may see it',
    tag,
    params: Type.Object({ index: Index }),
    answer: AnyObject,
    handle: ({ params, caller }) => audit.entry(params.index, can(caller, 'audit.payload')),
  });
}

function moneyRoutes(server: FastifyInstance, { costs }: Dependencies): void {
  route(server, {
    method: 'GET',
    url: '/api/v1/costs',
    permission: 'costs.read',
    summary: 'Costs by service, resource, workflow or day, or by who asked (calls of language models)',
    tag: 'costs',
    query: Type.Object(
      {
        groupBy: Type.Optional(
          Type.String({ enum: ['service', 'resource', 'workflow', 'day', 'by'], default: 'service' }),
        ),
        since: Time,
        until: Time,
      },
      { additionalProperties: false },
    ),
    answer: pageOf(AnyObject),
    handle: async ({ query: { groupBy = 'service', since, until } }) => ({
      items: await costs.groupBy(
        groupBy as CostGroup,
        since === undefined ? undefined : Date.parse(since),
        until === undefined ? undefined : Date.parse(until),
      ),
      nextCursor: null,
    }),
  });
}

function focusRoute(server: FastifyInstance, { costs }: Dependencies): void {
  route(server, {
    method: 'GET',
    url: '/api/v1/costs/focus.csv',
    permission: 'costs.read',
    summary: 'Every charge of a period, or of one run, as CSV in the columns of FOCUS 1.2 (FinOps)',
    tag: 'costs',
    query: Type.Object(
      { since: Time, until: Time, run: Type.Optional(Type.String()) },
      { additionalProperties: false },
    ),
    handle: ({ query: { since, until, run }, reply }) => {
      reply.header('content-type', 'text/csv; charset=utf-8');
      const [sinceMs, untilMs] = [since, until].map((time) =>
        time === undefined ? undefined : Date.parse(time),
      );
      return reply.send(Readable.from(costs.focus({ sinceMs, untilMs, runId: run })));
    },
  });
}

const TILE_PATH = /^(entries|\d{1,2})\/((?:x\d{3}\/)*\d{3})(?:\.p\/(\d{1,3}))?$/;

/** `0/x001/067.p/8`, as C2SP tlog-tiles writes it. @throws AiosError `request.not_found` */
function parseTilePath(path: string): { level: number | 'entries'; index: number; width: number } {
  const [, level = '', text = '', partial] = TILE_PATH.exec(path) ?? [];
  const index = parseTileIndex(text);
  const width = partial === undefined ? TILE_WIDTH : Number(partial);
  if (index === undefined || width < 1 || width > TILE_WIDTH)
    throw new AiosError('request.not_found', { detail: `“${path}” is not a path of a tile.` });
  return { level: level === 'entries' ? level : Number(level), index, width };
}

// A rare kind is looked for in this many entries; a page may be short, and its cursor goes on.
const SCANNED_MAX = 5_000;
const SCAN = 500;

/** Entries of a kind, newest first. The tree is in order of time, not of kind, so that it is scanned. */
async function pageOfEntries(
  audit: AuditReader,
  { kind, withPayloads }: { kind: string | undefined; withPayloads: boolean },
  cursor: string | undefined,
  limit: number,
): Promise<{ items: IndexedEntry[]; nextCursor: string | null }> {
  let before = cursor === undefined ? undefined : Number(cursor);
  if (before !== undefined && !Number.isInteger(before))
    throw new AiosError('request.invalid', {
      issues: [{ path: '/cursor', message: 'no cursor of ours', found: cursor ?? '' }],
    });
  const items: IndexedEntry[] = [];
  for (let scanned = 0; items.length < limit && scanned < SCANNED_MAX; scanned += SCAN) {
    const entries = await audit.list({ before, limit: kind === undefined ? limit : SCAN, withPayloads });
    for (const entry of entries) {
      before = entry.index;
      if (kind === undefined || entry.kind === kind) items.push(entry);
      if (items.length === limit) break;
    }
    if (entries.length === 0 || before === 0) return { items, nextCursor: null };
  }
  return { items, nextCursor: String(before) };
}
