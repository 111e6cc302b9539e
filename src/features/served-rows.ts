import type { Database, Queryable } from '../store/database.ts';
import type { Definition, Definitions } from '../store/definitions.ts';
import type { EntityBody } from './entity.ts';
import { compileRowView, type RowView } from './row-view.ts';
import { type BatchViewBody, type FeatureViewBody, kindOfView } from './view-documents.ts';

const VIEW = 'feature-view';

/** Passes whose rows are online and kept, as SQL over `feature_materializations`. */
export const BROUGHT = "status = 'done' and retired_at is null";

/**
 * The versions of batch and push views that are served. Of a batch view the newest one whose rows a pass has brought online is in force: rows are kept apart
 * for all versions that mean something else, so that no vector has values of two. Versions that somebody is held to are served beside it.
 */
export class ServedRows {
  readonly #db: Database;
  readonly #definitions: Definitions;
  /** By view: what passes have brought online (`kept` of its versions). */
  #brought: ReadonlyMap<string, ReadonlySet<string>> = new Map();
  /** By view: the newest version of these rows, also once a newer one was applied. */
  #inForce: ReadonlyMap<string, RowView> = new Map();
  readonly #compiled = new Map<string, RowView>();

  constructor(db: Database, definitions: Definitions) {
    this.#db = db;
    this.#definitions = definitions;
  }

  /** Sees what passes have brought online. */
  async reload(): Promise<void> {
    const brought = await this.#read();
    const inForce = new Map<string, RowView>();
    for (const [name, kept] of brought) {
      let version = this.#definitions.latest(VIEW, name)?.version ?? 0;
      let found = await this.version(name, version);
      while (found && !kept.has(found.kept)) found = await this.version(name, --version);
      if (found) inForce.set(name, found);
    }
    this.#brought = brought;
    this.#inForce = inForce;
  }

  /** Whether passes have brought something else online than is known here. */
  async isStale(): Promise<boolean> {
    return fingerprintOf(await this.#read()) !== fingerprintOf(this.#brought);
  }

  async #read(): Promise<Map<string, ReadonlySet<string>>> {
    const rows = await this.#db.query<{ view: string; kept: string[] }>(
      `select view, array_agg(distinct kept order by kept) as kept from feature_materializations
       where ${BROUGHT} group by view order by view`,
    );
    return new Map(rows.map(({ view, kept }) => [view, new Set(kept)]));
  }

  /** A version of a batch or push view that somebody is held to, or else the one in force; undefined when there is none of that name. */
  at(name: string, version?: number): RowView | undefined {
    const newest = this.#compile(this.#definitions.latest(VIEW, name));
    if (version !== undefined) return this.#compile(this.#definitions.at(VIEW, name, version));
    return !newest || this.isReady(newest) ? newest : (this.#inForce.get(name) ?? newest);
  }

  /** Whether `online` has the rows of this version, or needs none. */
  isReady({ name, kept, isOnline, push }: RowView): boolean {
    return push !== undefined || !isOnline || (this.#brought.get(name)?.has(kept) ?? false);
  }

  /** The newest version of a view, and those that others are held to: what a pass brings online. */
  toBring(name: string): RowView[] {
    const newest = this.#compile(this.#definitions.latest(VIEW, name));
    return newest ? apart([newest, ...this.#heldOf(newest)]) : [];
  }

  /** All that are served, each once: of a view the one in force and those that somebody is held to. */
  all(): RowView[] {
    return this.#definitions.list(VIEW).flatMap(({ name }) => {
      const inForce = this.at(name);
      return inForce ? [inForce, ...this.#heldOf(inForce)] : [];
    });
  }

  /**
   * The views that take what is pushed under a name. All versions of a view read the same rows: what is kept of one has the features of those that
   * somebody is held to, too.
   */
  pushed(push: string): RowView[] {
    return this.#definitions.list(VIEW).flatMap(({ name }) => {
      const view = this.at(name);
      if (view?.push !== push) return [];
      const features = new Map(
        [...this.#heldOf(view), view].flatMap((of) => of.features.map((each) => [each.name, each])),
      );
      return [{ ...view, features: [...features.values()] }];
    });
  }

  #heldOf({ name, version }: RowView): RowView[] {
    return this.#definitions
      .heldVersions(VIEW, name)
      .flatMap((held) => (held === version ? [] : (this.at(name, held) ?? [])));
  }

  /** A version, whether it is served or not: a pass brings the one that it was asked for. */
  async version(name: string, version: number): Promise<RowView | undefined> {
    const known = this.#compiled.get(`${name}@${version}`);
    if (known) return known;
    const definition = await this.#definitions.version(VIEW, name, version);
    const entity = definition && (definition.body as unknown as BatchViewBody).entity;
    // Another process may have applied both.
    if (entity !== undefined && !this.#definitions.latest('entity', entity)) await this.#definitions.reload();
    return this.#compile(definition);
  }

  /** Marks the rows of versions that are neither in force nor held as gone: they are dropped some time after. So are those of a pass that failed, once nobody is to bring them. */
  async retire(tx: Queryable): Promise<void> {
    for (const [name, brought] of this.#brought) {
      const inForce = this.at(name);
      const served = inForce ? [inForce, ...this.#heldOf(inForce)] : [];
      const gone = [...brought].filter((kept) => !served.some((view) => view.isOnline && view.kept === kept));
      if (gone.length > 0)
        await tx.query(
          `update feature_materializations set retired_at = now() where kept = any($1::text[]) and ${BROUGHT}`,
          [gone],
        );
    }
    const wanted = this.#definitions.list(VIEW).flatMap(({ name }) => this.toBring(name));
    await tx.query(
      "update feature_materializations set retired_at = now() where status = 'failed' and retired_at is null and kept <> all($1::text[])",
      [wanted.filter(({ isOnline }) => isOnline).map(({ kept }) => kept)],
    );
  }

  #compile(definition: Definition | undefined): RowView | undefined {
    if (!definition) return undefined;
    const { name, version, body } = definition;
    const kind = kindOfView(body as unknown as FeatureViewBody);
    if (kind !== 'batch' && kind !== 'push') return undefined;
    const known = this.#compiled.get(`${name}@${version}`);
    if (known) return known;
    const view = body as unknown as BatchViewBody;
    const entity = this.#definitions.latest('entity', view.entity)!.body as unknown as EntityBody;
    const compiled = compileRowView(version, view, entity);
    this.#compiled.set(`${name}@${version}`, compiled);
    return compiled;
  }
}

/** The first of those that share their rows. */
function apart(views: readonly RowView[]): RowView[] {
  return [...Map.groupBy(views, ({ kept }) => kept).values()].map(([first]) => first!);
}

function fingerprintOf(brought: ReadonlyMap<string, ReadonlySet<string>>): string {
  return JSON.stringify([...brought].map(([name, kept]) => [name, ...kept]));
}
