import { digestOf } from '../kernel/canonical.ts';
import type { FindBody } from '../kernel/definition-lineage.ts';
import { AiosError } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import { tells } from './changes.ts';
import type { Database, Queryable } from './database.ts';
import { type Lane, Refused, type Write, write } from './lane.ts';
import type { Migration } from './migrations.ts';
import { columns } from './rows.ts';

export const definitionMigrations: Migration[] = [
  {
    name: '0010_definitions',
    sql: `
      create table definitions (
        kind text not null,
        name text not null,
        version int not null,
        digest text not null,
        body json not null,
        source text not null,
        created_at timestamptz not null default now(),
        created_by text not null,
        primary key (kind, name, version)
      );
      comment on table definitions is 'Every version of every definition that was ever applied. Rows are never changed.';
      create table definitions_revision (revision bigint not null);
      insert into definitions_revision values (0);
      comment on table definitions_revision is 'One row: how often definitions were changed. Who reads it in a transaction knows whether what it has read of them is all.';
      ${tells('definitions_revision')}`,
  },
];

/** What a user defined: a contract, a feature view, a flow … The store keeps it and gives versions; its meaning is its module's. */
export interface Definition<Body extends object = JsonObject> {
  readonly kind: string;
  readonly name: string;
  /** 1, 2, 3 …: a new one whenever the body's digest changes. */
  readonly version: number;
  readonly digest: string;
  readonly body: Body;
  /** The text as its author wrote it. */
  readonly source: string;
  readonly createdAt: number;
  readonly createdBy: string;
}

export interface NewDefinition {
  kind: string;
  name: string;
  body: JsonObject;
  source: string;
  createdBy: string;
}

interface DefinitionRow {
  kind: string;
  name: string;
  version: number;
  digest: string;
  body: JsonObject;
  source: string;
  created_at: number;
  created_by: string;
}

const COLUMNS = 'kind, name, version, digest, body, source, created_at, created_by';

/** A version of a definition that another one names. */
export interface HeldVersion {
  readonly kind: string;
  readonly name: string;
  readonly version: number;
}

/** What says of a body which versions of others it is held to. */
export type HeldBy = (kind: string, body: JsonObject) => readonly HeldVersion[];

type Listener = (changed: readonly Definition[]) => void | Promise<void>;

/** All definitions at one time, as a plan looks at them: what is put by it is refused once any of them has changed. */
export interface DefinitionsSnapshot {
  /** By the table `definitions_revision`. */
  readonly revision: number;
}

interface PutItem extends NewDefinition {
  digest: string;
  snapshot: DefinitionsSnapshot | undefined;
}

interface Newest {
  readonly version: number;
  readonly digest: string | null;
}

const conflict = () =>
  new Refused(
    new AiosError('store.conflict', {
      detail: 'Definitions were changed by someone else since this change was held to them.',
    }),
  );

/**
 * Same digest as the newest version: that version is the answer, and nothing is written. What was checked against a snapshot is refused when
 * definitions have changed since. The row of the revision is the lock of all changes, in whatever process.
 */
const definitionLane: Lane<PutItem, number> = {
  name: 'definitions',
  order: 5,
  gate: true,
  async write(tx, items) {
    const [current] = await tx.query<{ revision: number }>(
      'select revision from definitions_revision for update',
    );
    const newest = await newestOf(tx, items);
    const written: (PutItem & { version: number })[] = [];
    const isSame = (item: PutItem) => newest.get(keyOf(item))?.digest === item.digest;
    // All of it is there: this commit itself put it, and its answer was lost, or somebody else put the same.
    const stands = (snapshot: DefinitionsSnapshot) =>
      items.every((item) => item.snapshot !== snapshot || isSame(item));
    const isUnchanged = (snapshot: DefinitionsSnapshot) =>
      snapshot.revision === current!.revision && written.every((item) => item.snapshot === snapshot);
    const results = items.map((item) => {
      const { snapshot } = item;
      if (snapshot && !isUnchanged(snapshot) && !stands(snapshot)) return conflict();
      const before = newest.get(keyOf(item)) ?? { version: 0, digest: null };
      if (before.digest === item.digest) return before.version;
      const version = before.version + 1;
      newest.set(keyOf(item), { version, digest: item.digest });
      written.push({ ...item, version });
      return version;
    });
    if (written.length > 0) await insert(tx, written);
    return results;
  },
};

const keyOf = ({ kind, name }: { kind: string; name: string }) => `${kind}/${name}`;

/** The body of a definition as it is in force, or of a version that one in force is held to. */
export function findIn(definitions: Pick<Definitions, 'latest' | 'at'>): FindBody {
  return (kind, name, version) =>
    (version === undefined ? definitions.latest(kind, name) : definitions.at(kind, name, version))?.body;
}

/** What a version is found by among those that are held. */
export const versionKey = ({ version, ...of }: HeldVersion) => `${keyOf(of)}/${version}`;

async function newestOf(tx: Queryable, items: readonly PutItem[]): Promise<Map<string, Newest>> {
  const rows = await tx.query<Newest & { kind: string; name: string }>(
    `select distinct on (kind, name) kind, name, version, digest from definitions
     where (kind, name) in (select * from unnest($1::text[], $2::text[])) order by kind, name, version desc`,
    columns(items, ({ kind, name }) => [kind, name]),
  );
  return new Map(rows.map((row) => [keyOf(row), row]));
}

async function insert(tx: Queryable, items: readonly (PutItem & { version: number })[]): Promise<void> {
  await tx.query(
    `with written as (
       insert into definitions (kind, name, version, digest, body, source, created_by)
       select * from unnest($1::text[], $2::text[], $3::int[], $4::text[], $5::json[], $6::text[], $7::text[]))
     update definitions_revision set revision = revision + 1`,
    columns(items, (item) => [
      item.kind,
      item.name,
      item.version,
      item.digest,
      JSON.stringify(item.body),
      item.source,
      item.createdBy,
    ]),
  );
}

/**
 * The definitions in force, read from memory; `reload` after a change. What a version holds never changes, so a reader that
 * keeps `(kind, name, version)` keeps the truth. Older versions that one in force is held to are in memory, too.
 */
export class Definitions {
  readonly #db: Queryable;
  readonly #heldBy: HeldBy;
  #latest: ReadonlyMap<string, Definition> = new Map();
  #held: ReadonlyMap<string, Definition> = new Map();
  #revision = 0;
  #reloading: Promise<void> = Promise.resolve();
  /** Each with what it is still to be told of, by `keyOf`. */
  readonly #listeners = new Map<Listener, Map<string, Definition>>();

  constructor(db: Database, heldBy: HeldBy = () => []) {
    this.#db = db;
    this.#heldBy = heldBy;
  }

  /**
   * The write that makes a new version of a definition; its result is the version. Commit it, then `reload`. With a `snapshot` the commit is refused with
   * `store.conflict` once any definition has changed since that was taken.
   *
   * @example commit.commit([definitions.put(contract, snapshot)])
   */
  put(definition: NewDefinition, snapshot?: DefinitionsSnapshot): Write<number> {
    return write(definitionLane, { ...definition, digest: digestOf(definition.body), snapshot });
  }

  /** Of all that is there now: taken before a plan looks, and for one commit. */
  async snapshot(): Promise<DefinitionsSnapshot> {
    await this.reload();
    return { revision: this.#revision };
  }

  /** Reads what is new in the database and tells the listeners; one at a time, so that after each of them the listeners know all that it found. */
  reload(): Promise<void> {
    const reloaded = this.#reloading.then(() => this.#reload());
    this.#reloading = reloaded.catch(() => {});
    return reloaded;
  }

  async #reload(): Promise<void> {
    // Read first: what is read after it is as new, or newer.
    const [revised] = await this.#db.query<{ revision: number }>('select revision from definitions_revision');
    if (revised!.revision === this.#revision) return;
    const rows = await this.#db.query<DefinitionRow>(
      `select distinct on (kind, name) ${COLUMNS} from definitions order by kind, name, version desc`,
    );
    const changed: Definition[] = [];
    const latest = new Map(this.#latest);
    for (const row of rows) {
      const key = keyOf(row);
      if (latest.get(key)?.version === row.version) continue;
      const definition = fromRow(row);
      latest.set(key, definition);
      changed.push(definition);
    }
    // Both at once: whoever is held to a version finds it, also where a newer one has come with it.
    const held = await this.heldBy([...latest.values()]);
    this.#latest = latest;
    this.#held = held;
    await this.#tell(changed);
    this.#revision = revised!.revision;
  }

  /**
   * A listener that fails keeps the news from no other. Where it failed by what goes by, as a database that is away does, it is told again at the next reading: it would stay
   * at the version before until somebody changes the definition once more.
   *
   * @throws what the first that failed threw
   */
  async #tell(changed: readonly Definition[]): Promise<void> {
    const faults: unknown[] = [];
    for (const [listener, untold] of this.#listeners) {
      for (const definition of changed) untold.set(keyOf(definition), definition);
      if (untold.size === 0) continue;
      try {
        await listener([...untold.values()]);
        untold.clear();
      } catch (error) {
        faults.push(error);
        if (!(error instanceof AiosError && error.retryable)) untold.clear();
      }
    }
    if (faults.length > 0) throw faults[0];
  }

  /** How often they had been changed when they were read last, by the table `definitions_revision`. */
  get revision(): number {
    return this.#revision;
  }

  latest(kind: string, name: string): Definition | undefined {
    return this.#latest.get(`${kind}/${name}`);
  }

  /** A version that is in force, or that a definition in force is held to; undefined for others, which `version` reads. */
  at(kind: string, name: string, version: number): Definition | undefined {
    const latest = this.latest(kind, name);
    return latest?.version === version ? latest : this.#held.get(versionKey({ kind, name, version }));
  }

  /** The versions that definitions in force are held to, and those that these name in turn. */
  held(): Definition[] {
    return [...this.#held.values()];
  }

  /** The versions of a definition that others in force are held to. */
  heldVersions(kind: string, name: string): number[] {
    return this.held()
      .filter((held) => held.kind === kind && held.name === name)
      .map(({ version }) => version)
      .sort((a, b) => a - b);
  }

  /** The versions that bodies name, and those that these name in turn, by `versionKey`; one that was never applied is left out. */
  async heldBy(
    bodies: Iterable<{ readonly kind: string; readonly body: JsonObject }>,
  ): Promise<ReadonlyMap<string, Definition>> {
    const held = new Map<string, Definition>();
    const open = [...bodies];
    for (let next = open.pop(); next; next = open.pop()) {
      for (const named of this.#heldBy(next.kind, next.body)) {
        const key = versionKey(named);
        if (held.has(key)) continue;
        const found = this.at(named.kind, named.name, named.version) ?? (await this.#read(named));
        if (!found) continue;
        held.set(key, found);
        open.push(found);
      }
    }
    return held;
  }

  list(kind: string): Definition[] {
    return [...this.#latest.values()].filter((definition) => definition.kind === kind);
  }

  async version(kind: string, name: string, version: number): Promise<Definition | undefined> {
    return this.at(kind, name, version) ?? this.#read({ kind, name, version });
  }

  async #read({ kind, name, version }: HeldVersion): Promise<Definition | undefined> {
    const [row] = await this.#db.query<DefinitionRow>(
      `select ${COLUMNS} from definitions where kind = $1 and name = $2 and version = $3`,
      [kind, name, version],
    );
    return row && fromRow(row);
  }

  async versions(kind: string, name: string): Promise<Definition[]> {
    const rows = await this.#db.query<DefinitionRow>(
      `select ${COLUMNS} from definitions where kind = $1 and name = $2 order by version desc`,
      [kind, name],
    );
    return rows.map(fromRow);
  }

  /** Called with every new version, at the first load and after each change; returns how to stop. */
  onChange(listener: Listener): () => void {
    this.#listeners.set(listener, new Map());
    return () => this.#listeners.delete(listener);
  }
}

function fromRow(row: DefinitionRow): Definition {
  const { created_at: createdAt, created_by: createdBy, ...rest } = row;
  return { ...rest, createdAt, createdBy };
}
