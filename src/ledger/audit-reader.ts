import { createHash, type KeyObject } from 'node:crypto';
import { AiosError } from '../kernel/errors.ts';
import type { Json } from '../kernel/json.ts';
import { joinBundle, leafHash, TILE_WIDTH, TreeFrontier } from '../kernel/merkle.ts';
import { openCheckpoint, verifierKey } from '../kernel/signed-note.ts';
import type { Database } from '../store/database.ts';
import { type AuditEntry, SALT_BYTES } from './audit.ts';
import type { SubjectKeys } from './subject-keys.ts';
import { readTile, tiledTree } from './tree.ts';

/** An entry with its place in the tree. */
export interface IndexedEntry extends AuditEntry {
  index: number;
  /** Base64. */
  leafHash: string;
}

export interface InclusionProof {
  index: number;
  size: number;
  leafHash: string;
  /** Base64, from the leaf up. */
  hashes: string[];
}

export interface LogVerification {
  valid: boolean;
  size: number;
  /** Payloads whose digest was compared, and those whose subject was erased. */
  payloads: number;
  erased: number;
  problems: string[];
}

/** What an entry commits to: `payloadDigest` is the SHA-256 of the bytes of the salt and of the text. */
interface Payload {
  payload: Json;
  /** The text as it was digested. */
  payloadText: string;
  /** Base64; without it a digest of personal data could be guessed. */
  payloadSalt: string;
}

/** An entry, and its payload where that was asked for and its subject was not erased. */
type ShownEntry = IndexedEntry & Partial<Payload> & { erased?: boolean };

interface EntryRow {
  xid: string;
  seq: number;
  entry: string;
  subject: string;
  payload: Buffer;
}

interface Dependencies {
  db: Database;
  keys: SubjectKeys;
  origin: string;
  publicKey: KeyObject;
}

/** Reads the log: in the paths of C2SP tlog-tiles for verifiers, entry by entry for people. */
export class AuditReader {
  readonly #db: Database;
  readonly #keys: SubjectKeys;
  readonly origin: string;
  /** What a verifier needs to know beforehand: `name+id+key`. */
  readonly verifier: string;

  constructor({ db, keys, origin, publicKey }: Dependencies) {
    this.#db = db;
    this.#keys = keys;
    this.origin = origin;
    this.verifier = verifierKey(origin, publicKey);
  }

  /** The newest signed checkpoint; undefined before the first entry. */
  async checkpoint(): Promise<string | undefined> {
    const [row] = await this.#db.query<{ checkpoint: string }>('select checkpoint from audit_tree');
    return row?.checkpoint;
  }

  async size(): Promise<number> {
    const [row] = await this.#db.query<{ size: number }>('select size from audit_tree');
    return row?.size ?? 0;
  }

  /** The bytes of a hash tile; a width cuts a tile that has grown since. @throws AiosError `ledger.not_found` */
  async tile(level: number, index: number, width = TILE_WIDTH): Promise<Buffer> {
    const hashes = await readTile(this.#db, level, index);
    if (hashes.length < width)
      throw notFound(`Tile ${level}/${index} has ${hashes.length} hashes, not ${width}.`);
    return Buffer.concat(hashes.slice(0, width));
  }

  /** The bytes of an entry bundle. @throws AiosError `ledger.not_found` */
  async bundle(number: number, width = TILE_WIDTH): Promise<Buffer> {
    const rows = await this.#rows(number * TILE_WIDTH, width);
    if (rows.length < width) throw notFound(`Bundle ${number} has ${rows.length} entries, not ${width}.`);
    return joinBundle(rows.map(({ entry }) => Buffer.from(entry)));
  }

  /** @throws AiosError `ledger.not_found` */
  async inclusionProof(index: number, atSize?: number): Promise<InclusionProof> {
    const size = atSize ?? (await this.size());
    const [row] = index < size ? await this.#rows(index, 1) : [];
    if (!row || size > (await this.size()))
      throw notFound(`There is no entry ${index} in a tree of ${size}.`);
    const proof = await tiledTree(this.#db).inclusionProof(index, size);
    return {
      index,
      size,
      leafHash: leafHash(row.entry).toString('base64'),
      hashes: proof.map((hash) => Buffer.from(hash).toString('base64')),
    };
  }

  /** Newest first; `before` is an index. With payloads, those that can be opened have theirs. */
  async list({
    before,
    limit,
    withPayloads = false,
  }: {
    before?: number | undefined;
    limit: number;
    withPayloads?: boolean;
  }): Promise<ShownEntry[]> {
    const end = Math.min(before ?? Number.MAX_SAFE_INTEGER, await this.size());
    const first = Math.max(0, end - limit);
    const rows = await this.#rows(first, end - first);
    const entries = withPayloads
      ? await Promise.all(rows.map((row, i) => this.#opened(first + i, row)))
      : rows.map(({ entry }, i) => indexed(first + i, entry));
    return entries.reverse();
  }

  /** The entries about an object, oldest first; one that is not in the tree yet has no index and is left out. */
  async about(object: string): Promise<IndexedEntry[]> {
    const rows = await this.#db.query<{ entry: string; index: number }>(
      `select e.entry, b.number * ${TILE_WIDTH} + (
         select count(*) from audit_entries other where (other.xid, other.seq) >= (b.xid, b.seq) and (other.xid, other.seq) < (e.xid, e.seq)) as index
       from audit_entries e
       join lateral (select * from audit_bundles b where (b.xid, b.seq) <= (e.xid, e.seq) order by b.number desc limit 1) b on true
       where e.object = $1 and (e.xid, e.seq) <= (select xid, seq from audit_tree) order by e.xid, e.seq`,
      [object],
    );
    return rows.map(({ entry, index }) => indexed(index, entry));
  }

  /**
   * One entry; with its payload where the caller may see it and its subject was not erased, and with what shows that it is the one.
   *
   * @throws AiosError `ledger.not_found`
   */
  async entry(index: number, withPayload: boolean): Promise<ShownEntry> {
    const [row] = index < (await this.size()) ? await this.#rows(index, 1) : [];
    if (!row) throw notFound(`There is no entry ${index}.`);
    return withPayload ? this.#opened(index, row) : indexed(index, row.entry);
  }

  async #opened(index: number, row: EntryRow): Promise<ShownEntry> {
    const entry = indexed(index, row.entry);
    const plain = await this.#keys.decrypt(this.#db, row.subject, row.payload);
    if (!plain) return { ...entry, erased: true };
    const payloadText = plain.subarray(SALT_BYTES).toString();
    const payloadSalt = plain.subarray(0, SALT_BYTES).toString('base64');
    return { ...entry, payload: JSON.parse(payloadText) as Json, payloadText, payloadSalt };
  }

  /** Recomputes the tree from the entries, holds it to the signed checkpoint, and every payload to the digest in its entry. */
  async verify(): Promise<LogVerification> {
    const problems: string[] = [];
    const note = await this.checkpoint();
    if (!note) return { valid: true, size: 0, payloads: 0, erased: 0, problems };
    const { size, root } = openCheckpoint(note, this.verifier);
    const frontier = new TreeFrontier();
    let payloads = 0;
    let erased = 0;
    for (let first = 0; first < size; first += TILE_WIDTH) {
      const rows = await this.#rows(first, Math.min(TILE_WIDTH, size - first));
      for (const [i, { entry, subject, payload }] of rows.entries()) {
        frontier.add(leafHash(entry));
        const plain = await this.#keys.decrypt(this.#db, subject, payload);
        if (!plain) erased++;
        else if (
          createHash('sha256').update(plain).digest('hex') === (JSON.parse(entry) as AuditEntry).payloadDigest
        )
          payloads++;
        else problems.push(`entry ${first + i}: its payload is not the one it commits to`);
      }
    }
    if (frontier.size !== size)
      problems.push(`the checkpoint says ${size} entries; ${frontier.size} are there`);
    else if (Buffer.compare(frontier.root(), root) !== 0)
      problems.push('the root of the entries is not the one that was signed');
    return { valid: problems.length === 0, size, payloads, erased, problems };
  }

  /** Rows by index: a bundle's first row is known, the others follow it. */
  async #rows(first: number, count: number): Promise<EntryRow[]> {
    if (count <= 0) return [];
    const skip = first % TILE_WIDTH;
    return this.#db.query<EntryRow>(
      `select e.xid::text as xid, e.seq, e.entry, e.subject, e.payload from audit_entries e, audit_tree t
       where (e.xid, e.seq) >= (select xid, seq from audit_bundles where number = $1) and (e.xid, e.seq) <= (t.xid, t.seq)
       order by e.xid, e.seq offset $2 limit $3`,
      [Math.floor(first / TILE_WIDTH), skip, count],
    );
  }
}

function indexed(index: number, text: string): IndexedEntry {
  return { index, ...(JSON.parse(text) as AuditEntry), leafHash: leafHash(text).toString('base64') };
}

function notFound(detail: string): AiosError {
  return new AiosError('ledger.not_found', { detail });
}
