import type { AiosClient } from '../client/client.ts';
import { digestOf } from '../kernel/canonical.ts';
import { AiosError } from '../kernel/errors.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import { leafHash, TreeFrontier, verifyInclusion } from '../kernel/merkle.ts';
import { openCheckpoint } from '../kernel/signed-note.ts';
import { entriesOf, entryOf, folderLog, verifierOf } from './audit-copy.ts';
import { copiedDefinition, copiedPayloads } from './evidence.ts';
import { readList } from './listing.ts';

export interface AuditEntry {
  index: number;
  id: string;
  kind: string;
  action: string;
  actor: { kind: string; id: string };
  object: string;
  at: string;
  payloadDigest: string;
  payload?: unknown;
  payloadText?: string;
  payloadSalt?: string;
  erased?: boolean;
}

interface Proof {
  index: number;
  size: number;
  leafHash: string;
  hashes: string[];
}

/** A decision, as the payload of its entry holds it. */
export interface Decision {
  decision: string;
  version: number;
  digest: string;
  input: JsonObject;
  output: Json;
  rule: string | null;
}

interface Page {
  items: AuditEntry[];
  nextCursor: string | null;
}

/** Where entries are read: a server, or a copy of its log. */
export interface AuditSource {
  /** Newest first. */
  list(asked: { object: string | undefined; limit: number }): Promise<Page>;
  entry(index: number): Promise<AuditEntry>;
  proof(index: number): Promise<Proof>;
  /** What the version of the table that decided makes of the same input. */
  decide(decision: Decision): Promise<{ output: Json; rule?: string | null }>;
}

/** @example await serverSource(client).entry(355) */
export function serverSource(client: AiosClient): AuditSource {
  return {
    list: ({ object, limit }) => readList<Page>(client, '/api/v1/audit/entries', { object }, limit),
    entry: (index) => client.request<AuditEntry>('GET', `/api/v1/audit/entries/${index}`),
    proof: (index) => client.request<Proof>('GET', '/api/v1/audit/proof', { query: { index } }),
    decide: ({ decision, input, version }) =>
      client.request('POST', `/api/v1/decisions/${encodeURIComponent(decision)}/evaluate`, {
        body: { input, version },
      }),
  };
}

/** What the decision tables make of an input: `src/decisions`, handed in. */
export type EvaluateTable = (
  body: JsonObject,
  input: JsonObject,
) => Promise<{ output: Json; rule: string | null }>;

/**
 * A copy of a log, made with `--payloads` where payloads are to be seen. Needs no server.
 *
 * @param keyFile the log's verifier key, kept from earlier; that of the copy when left out
 * @throws AiosError `client.file`, and Error for a checkpoint that the key did not sign
 * @example await (await copySource('log', undefined, evaluate)).entry(355)
 */
export async function copySource(
  folder: string,
  keyFile: string | undefined,
  evaluate: EvaluateTable,
): Promise<AuditSource> {
  const log = folderLog(folder);
  const { size, root } = openCheckpoint(await log.checkpoint(), await verifierOf(log, keyFile));
  const bytesOf = (index: number) => {
    if (index >= size)
      throw new AiosError('ledger.not_found', { detail: `There is no entry ${index} in a tree of ${size}.` });
    return entryOf(log, index, size);
  };
  return {
    async list({ object, limit }) {
      const found: AuditEntry[] = [];
      let index = 0;
      let hasMore = false;
      const frontier = new TreeFrontier();
      for await (const bytes of entriesOf(log, size)) {
        frontier.add(leafHash(bytes));
        const entry = entryIn(index++, bytes);
        if (object === undefined || entry.object === object) found.push(entry);
        if (object !== undefined || found.length <= limit) continue;
        found.shift();
        hasMore = true;
      }
      // A list leaves out what does not match: only the whole tree shows that nothing was taken from it.
      if (frontier.size !== size || Buffer.compare(frontier.root(), root) !== 0)
        throw new Error('The log does NOT hold: its entries are not those of the tree that was signed.');
      return { items: found.reverse(), nextCursor: hasMore ? String(found.at(-1)!.index) : null };
    },
    async entry(index) {
      const entry = entryIn(index, await bytesOf(index));
      for await (const { index: at, payloadSalt, payloadText, erased } of copiedPayloads(folder)) {
        if (at !== index) continue;
        if (payloadSalt === undefined || payloadText === undefined)
          return { ...entry, erased: erased === true };
        return { ...entry, payloadSalt, payloadText, payload: JSON.parse(payloadText) };
      }
      return entry;
    },
    async proof(index) {
      const hash = leafHash(await bytesOf(index));
      const hashes = await log.proof(index, size);
      if (!verifyInclusion(hash, index, size, hashes, root))
        throw new Error(`The log does NOT hold: entry ${index} is not in the tree that was signed.`);
      const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
      return { index, size, leafHash: base64(hash), hashes: hashes.map(base64) };
    },
    async decide({ decision: name, version, digest, input }) {
      const definition = await copiedDefinition(folder, { kind: 'decision', name, version });
      if (!definition)
        throw new AiosError('client.file', {
          detail: `${folder} has no version ${version} of the decision “${name}”: aios audit --export FOLDER --payloads brings it.`,
        });
      if (digestOf(definition.body) !== digest)
        throw new Error(
          `The decision “${name}” ${version} of the copy is NOT the one that decided: its digest is another.`,
        );
      return evaluate(definition.body, input);
    },
  };
}

function entryIn(index: number, bytes: Uint8Array): AuditEntry {
  return { index, ...(JSON.parse(Buffer.from(bytes).toString()) as Omit<AuditEntry, 'index'>) };
}
