import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  type KeyObject,
  randomBytes,
} from 'node:crypto';

import { LRUCache } from 'lru-cache';
import { AiosError } from '../kernel/errors.ts';
import type { Queryable } from '../store/database.ts';
import { type Lane, type Write, write } from '../store/lane.ts';

const KEY_BYTES = 32;
const NONCE_BYTES = 12; // NIST SP 800-38D, 8.2.2: random nonces of 96 bits; one key writes far fewer than 2^32 payloads
const TAG_BYTES = 16;
const CACHED_MAX = 50_000;

/** Keys of subjects by their names, as one transaction has them. */
export type FoundKeys = ReadonlyMap<string, KeyObject>;
const NONE: FoundKeys = new Map();

/** What payloads without a person in them are encrypted for. */
export const NOBODY = 'nobody';

/**
 * The data key of every subject, wrapped by the master key. A subject is kept as a keyed hash of its name, so that the table says nothing about
 * who is in it; destroying its row's key makes every payload about it unreadable.
 */
export class SubjectKeys {
  // Key objects: raw bytes would be checked and imported again at each use (60 µs of a decision's 500).
  readonly #master: KeyObject;
  readonly #known = new LRUCache<string, KeyObject>({ max: CACHED_MAX });
  readonly #names = new LRUCache<string, string>({ max: CACHED_MAX });
  #nonces = Buffer.alloc(0);
  readonly #erasures: Lane<string, boolean> = {
    name: 'erasures of subjects',
    order: 42,
    write: async (tx, subjects) => {
      const erased: boolean[] = [];
      for (const subject of subjects) erased.push(await this.erase(tx, subject));
      return erased;
    },
  };

  constructor(master: Uint8Array) {
    if (master.byteLength !== KEY_BYTES)
      throw new AiosError('ledger.master_key', {
        detail: `The master key has ${master.byteLength} bytes; ${KEY_BYTES} are needed.`,
      });
    this.#master = createSecretKey(master);
  }

  /** How a subject is called in the tables. */
  nameOf(subject: string): string {
    if (subject === NOBODY) return NOBODY;
    let name = this.#names.get(subject);
    if (name === undefined) {
      name = createHmac('sha256', this.#master).update(subject).digest('base64url').slice(0, 22);
      this.#names.set(subject, name);
    }
    return name;
  }

  /** Makes sure that subjects have keys, by their names. An erased subject that comes again gets a new one. @returns those that were not known here: `keep` them after the commit */
  async ensure(tx: Queryable, names: Iterable<string>): Promise<FoundKeys> {
    const missing = [...new Set(names)].filter((name) => !this.#known.has(name)).sort();
    if (missing.length === 0) return NONE;
    const fresh = missing.map(() => this.#seal(this.#master, randomBytes(KEY_BYTES)));
    const rows = await tx.query<{ subject: string; wrapped: Buffer }>(
      `insert into audit_subjects as s (subject, wrapped) select * from unnest($1::text[], $2::bytea[])
       on conflict (subject) do update set wrapped = coalesce(s.wrapped, excluded.wrapped) returning subject, wrapped`,
      [missing, fresh],
    );
    return new Map(
      rows.map(({ subject, wrapped }) => [subject, createSecretKey(this.#open(this.#master, wrapped))]),
    );
  }

  /** Remembers what a transaction found or made, once it is committed: a key that went with its transaction would open nothing that is written under it. */
  keep(found: FoundKeys): void {
    for (const [name, key] of found) this.#known.set(name, key);
  }

  /** Whether `encrypt` can be called for all of them. */
  knows(items: readonly { subject: string }[]): boolean {
    return items.every(({ subject }) => this.#known.has(subject));
  }

  /** Encrypts for a subject that is known, or that this transaction has found the key of. */
  encrypt(name: string, plain: Uint8Array, found: FoundKeys = NONE): Buffer {
    return this.#seal((found.get(name) ?? this.#known.get(name))!, plain);
  }

  /** The plain bytes; undefined when the key was destroyed. */
  async decrypt(db: Queryable, name: string, sealed: Buffer): Promise<Buffer | undefined> {
    const [row] = await db.query<{ wrapped: Buffer | null }>(
      'select wrapped from audit_subjects where subject = $1',
      [name],
    );
    if (!row?.wrapped) return undefined;
    try {
      return this.#open(createSecretKey(this.#open(this.#master, row.wrapped)), sealed);
    } catch {
      return undefined; // written under a key that was destroyed before this one was made
    }
  }

  /** Destroys the key of a subject. Other processes forget it when their memory of it ends, so erase before closing a case, not during. */
  async erase(db: Queryable, subject: string): Promise<boolean> {
    const name = this.nameOf(subject);
    const rows = await db.query(
      'update audit_subjects set wrapped = null, erased_at = now() where subject = $1 and wrapped is not null returning subject',
      [name],
    );
    this.#known.delete(name);
    return rows.length > 0;
  }

  /** The same as a write, for the commit of what goes with it; resolves with whether there was a key. */
  erasure(subject: string): Write<boolean> {
    return write(this.#erasures, subject);
  }

  #seal(key: KeyObject, plain: Uint8Array): Buffer {
    const nonce = this.#nonce();
    const cipher = createCipheriv('aes-256-gcm', key, nonce);
    return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  }

  /** From a pool: a call of the random source costs 2 µs, whatever its size. */
  #nonce(): Buffer {
    if (this.#nonces.length < NONCE_BYTES) this.#nonces = randomBytes(NONCE_BYTES * 256);
    const nonce = this.#nonces.subarray(0, NONCE_BYTES);
    this.#nonces = this.#nonces.subarray(NONCE_BYTES);
    return nonce;
  }

  #open(key: KeyObject, sealed: Buffer): Buffer {
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES));
    decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
    return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
  }
}
