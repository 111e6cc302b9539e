import { hash } from 'node:crypto';
import type { Database } from '../store/database.ts';

/** A version of a contract by name. */
export interface VersionName {
  readonly name: string;
  readonly version: string;
}

/**
 * The numbers by which Confluent's serializers name a schema in each message: 31 bits of a hash over contract and version, so that what was written is read
 * after a move to another installation. They are kept: of two versions with one hash (an even chance from 55,000 versions on) the second gets another number.
 *
 * @example (await ids.of([{ name: 'order', version: '1.0.0' }])).get('1.0.0') // 1234567890
 */
export class SchemaIds {
  readonly #db: Database;
  /** Neither a version nor its number ever changes. */
  readonly #known = new Map<string, number>();

  constructor(db: Database) {
    this.#db = db;
  }

  /** The number of each version, in their order; one that has none gets it. @param versions the oldest first */
  async of(versions: readonly VersionName[]): Promise<number[]> {
    for (let round = 0; ; round++) {
      const left = versions.filter((one) => !this.#known.has(keyOf(one)));
      if (left.length === 0) return versions.map((one) => this.#known.get(keyOf(one))!);
      await this.#assign(left, round);
    }
  }

  /** The version with a number, where it has been given. */
  async find(id: number): Promise<VersionName | undefined> {
    const [found] = await this.#db.query<VersionName>(
      'select contract as name, version from contract_schema_ids where id = $1',
      [id],
    );
    return found;
  }

  /** Each gets its hash of this round, unless that is another's: then it comes again in the next. Its own of an earlier time is found. */
  async #assign(versions: readonly VersionName[], round: number): Promise<void> {
    const columns = [versions.map(({ name }) => name), versions.map(({ version }) => version)];
    const wanted = versions.map((one) => hashOf(one, round));
    await this.#db.query(
      `insert into contract_schema_ids (contract, version, id)
       select t.contract, t.version, t.id from unnest($1::text[], $2::text[], $3::int[]) with ordinality as t(contract, version, id, position)
       where not exists (select from contract_schema_ids k where (k.contract, k.version) = (t.contract, t.version))
       order by t.position on conflict do nothing`,
      [...columns, wanted],
    );
    const rows = await this.#db.query<VersionName & { id: number }>(
      `select contract as name, version, id from contract_schema_ids
       where (contract, version) in (select * from unnest($1::text[], $2::text[]))`,
      columns,
    );
    for (const row of rows) this.#known.set(keyOf(row), row.id);
  }
}

function keyOf({ name, version }: VersionName): string {
  return `${name}\0${version}`;
}

function hashOf(version: VersionName, round: number): number {
  const text = round === 0 ? keyOf(version) : `${keyOf(version)}\0${round}`;
  return Number.parseInt(hash('sha256', text, 'hex').slice(0, 8), 16) & 0x7fffffff || 1;
}
