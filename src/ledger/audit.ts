import { hash, randomBytes } from 'node:crypto';
import { AiosError } from '../kernel/errors.ts';
import { newId } from '../kernel/ids.ts';
import type { Json } from '../kernel/json.ts';
import type { Queryable } from '../store/database.ts';
import { type Lane, type Write, write } from '../store/lane.ts';
import { columns } from '../store/rows.ts';
import { type FoundKeys, NOBODY, type SubjectKeys } from './subject-keys.ts';

/** What happened, as a module tells it. */
export interface AuditRecord {
  /** The noun: `decision`, `task`, `model`, `definition`. */
  kind: string;
  /** The verb: `decided`, `completed`, `promoted`, `applied`. */
  action: string;
  actor: { kind: string; id: string };
  /** What it happened to, `run:run_…`, `model:return-risk`. */
  object: string;
  /** The person whose data the payload holds. */
  subject?: string | undefined;
  /** Business time, milliseconds. */
  at: number;
  /** The whole of it. Kept outside the tree, encrypted; the entry holds a salted digest only. */
  payload: Json;
}

/** The leaf of the tree: no personal data, canonical JSON (RFC 8785). */
export interface AuditEntry {
  action: string;
  actor: { id: string; kind: string };
  at: string;
  id: string;
  kind: string;
  object: string;
  /** SHA-256 of the salt and the payload's JSON, in hex. */
  payloadDigest: string;
}

interface Item {
  id: string;
  object: string;
  entry: string;
  subject: string;
  plain: Buffer;
}

// tlog-tiles, "Log entries": the length of an entry is written in 16 bits.
const ENTRY_BYTES_MAX = 65_535;
export const SALT_BYTES = 16;

/**
 * Where audit entries begin: `entry` makes the write that belongs into the transaction of the change it records.
 *
 * @example commit.commit([change, audit.entry({ kind: 'model', action: 'promoted', actor, object: 'model:risk', at, payload })])
 */
export class AuditLog {
  readonly #keys: SubjectKeys;
  readonly #lane: Lane<Item>;
  /** What the transaction that writes these items found. */
  readonly #found = new WeakMap<readonly Item[], FoundKeys>();
  #salts = Buffer.alloc(0);

  /** `onCommitted` is told that there is something to put in order. */
  constructor(keys: SubjectKeys, onCommitted: () => void) {
    this.#keys = keys;
    this.#lane = {
      name: 'audit',
      order: 50,
      plan: (items) => (this.#keys.knows(items) ? { statements: [this.#statement(items)] } : undefined),
      write: (tx, items) => this.#append(tx, items),
      committed: (items) => {
        const found = this.#found.get(items);
        if (found) this.#keys.keep(found);
        onCommitted();
      },
    };
  }

  /** @throws AiosError `ledger.entry_too_large` */
  entry({ kind, action, actor, object, subject, at, payload }: AuditRecord): Write {
    const text = JSON.stringify(payload);
    const plain = Buffer.allocUnsafe(SALT_BYTES + Buffer.byteLength(text));
    this.#salt().copy(plain);
    plain.write(text, SALT_BYTES);
    const id = newId('aud');
    // Canonical by construction: the members stand in the order of RFC 8785. Sorting them again would cost 10 µs an entry.
    const leaf: AuditEntry = {
      action,
      actor: { id: actor.id, kind: actor.kind },
      at: new Date(at).toISOString(),
      id,
      kind,
      object,
      payloadDigest: hash('sha256', plain, 'hex'),
    };
    const entry = JSON.stringify(leaf);
    if (Buffer.byteLength(entry) > ENTRY_BYTES_MAX)
      throw new AiosError('ledger.entry_too_large', {
        detail: `An entry about ${object.slice(0, 100)} is over ${ENTRY_BYTES_MAX} bytes.`,
      });
    return write(this.#lane, { id, object, entry, subject: this.#keys.nameOf(subject ?? NOBODY), plain });
  }

  /** From a pool: a call of the random source costs 2 µs, whatever its size. */
  #salt(): Buffer {
    if (this.#salts.length < SALT_BYTES) this.#salts = randomBytes(SALT_BYTES * 256);
    const salt = this.#salts.subarray(0, SALT_BYTES);
    this.#salts = this.#salts.subarray(SALT_BYTES);
    return salt;
  }

  async #append(tx: Queryable, items: readonly Item[]): Promise<undefined> {
    const found = await this.#keys.ensure(
      tx,
      items.map((item) => item.subject),
    );
    this.#found.set(items, found);
    const { text, values } = this.#statement(items, found);
    await tx.query(text, values);
    return undefined;
  }

  #statement(items: readonly Item[], found?: FoundKeys): { text: string; values: unknown[][] } {
    return {
      // A flush whose answer was lost comes again with the same ids: what is there already is left out. Each is looked up by the index:
      // a plain `not exists` became a join that read the whole table (77 µs an entry at 10,000 of them, and growing).
      text: `insert into audit_entries (id, object, entry, subject, payload)
       select t.* from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[]) as t(id, object, entry, subject, payload)
       left join lateral (
         select true as there from audit_entries e where e.object = t.object and e.id = t.id limit 1) known on true
       where known.there is null`,
      values: columns(items, (item) => [
        item.id,
        item.object,
        item.entry,
        item.subject,
        this.#keys.encrypt(item.subject, item.plain, found),
      ]),
    };
  }
}
