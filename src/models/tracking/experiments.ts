import type { Clock } from '../../kernel/clock.ts';
import { AiosError } from '../../kernel/errors.ts';
import type { JsonObject } from '../../kernel/json.ts';
import type { Limits } from '../../kernel/limits.ts';
import type { Queryable } from '../../store/database.ts';
import type { Committer } from '../../store/group-commit.ts';
import { timestamp } from '../../store/rows.ts';
import { type KeyValue, keyed } from './keyed.ts';
import { type ColumnOf, type Search, searchPage } from './search.ts';
import { tracked } from './tracking-lane.ts';

export interface Experiment {
  readonly id: number;
  readonly name: string;
  readonly tags: JsonObject;
  readonly isDeleted: boolean;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** Which of them a search looks at. */
export type ViewType = 'ACTIVE_ONLY' | 'DELETED_ONLY' | 'ALL';

export interface TrackingDependencies {
  db: Queryable;
  commit: Committer;
  clock: Clock;
  limits: Limits;
}

const SELECT = `select id, name, tags, is_deleted as "isDeleted", created_at as "createdAt", updated_at as "updatedAt" from experiments`;

/**
 * Experiments: the names that training runs are listed under.
 *
 * @example const { id } = await experiments.create({ name: 'return-risk', by: 'key_…' })
 */
export class Experiments {
  readonly #deps: TrackingDependencies;

  constructor(dependencies: TrackingDependencies) {
    this.#deps = dependencies;
  }

  /** @throws AiosError `experiments.exists`, `request.invalid` */
  async create({
    name,
    tags,
    by,
  }: {
    name: string;
    tags?: readonly KeyValue[] | undefined;
    by: string;
  }): Promise<Experiment> {
    if (name.trim() === '') throw new AiosError('request.invalid', { detail: 'An experiment needs a name.' });
    const present = await this.find(name);
    if (present)
      throw new AiosError('experiments.exists', {
        detail: `“${name}” is experiment ${present.id}${present.isDeleted ? ', which is deleted' : ''}.`,
      });
    await this.#insert(name, tags, by);
    return (await this.find(name))!;
  }

  /** The one of that name, made where there is none; several may ask for a new one at once. */
  async ensure(name: string, by: string): Promise<Experiment> {
    const present = await this.find(name);
    if (present) return present;
    await this.#insert(name, undefined, by);
    return (await this.find(name))!;
  }

  /** Nothing where there is one of that name already. */
  async #insert(name: string, tags: readonly KeyValue[] | undefined, by: string): Promise<void> {
    const now = timestamp(this.#deps.clock.now());
    await this.#deps.commit.commit([
      tracked(
        `insert into experiments (name, tags, created_at, updated_at, created_by) values ($1, $2, $3, $3, $4)
         on conflict (name) do nothing`,
        [name, JSON.stringify(keyed(tags)), now, by],
      ),
    ]);
  }

  /** Nothing where there is none of that name; deleted ones are told of too. */
  async find(name: string): Promise<Experiment | undefined> {
    return (await this.#deps.db.query<Experiment>(`${SELECT} where name = $1`, [name]))[0];
  }

  /** @throws AiosError `experiments.unknown` */
  async named(name: string): Promise<Experiment> {
    const found = await this.find(name);
    if (found) return found;
    throw new AiosError('experiments.unknown', { detail: `There is no experiment “${name}”.` });
  }

  /** @throws AiosError `experiments.unknown` */
  async get(id: string | number): Promise<Experiment> {
    const [found] = /^\d{1,15}$/.test(String(id))
      ? await this.#deps.db.query<Experiment>(`${SELECT} where id = $1`, [id])
      : [];
    if (found) return found;
    throw new AiosError('experiments.unknown', { detail: `There is no experiment ${id}.` });
  }

  /** @throws AiosError `experiments.unknown`, `experiments.deleted` */
  async active(id: string | number): Promise<Experiment> {
    const found = await this.get(id);
    if (!found.isDeleted) return found;
    throw new AiosError('experiments.deleted', { detail: `The experiment “${found.name}” is deleted.` });
  }

  /** @throws AiosError `experiments.unknown`, `experiments.exists` */
  async rename(id: string, name: string): Promise<void> {
    const { id: own } = await this.active(id);
    const present = await this.find(name);
    if (present && present.id !== own)
      throw new AiosError('experiments.exists', { detail: `“${name}” is experiment ${present.id}.` });
    await this.#change(own, 'name = $2', [name]);
  }

  /** Its runs go with it, and come back with it. @throws AiosError `experiments.unknown` */
  async setDeleted(id: string, isDeleted: boolean): Promise<void> {
    await this.#change((await this.get(id)).id, 'is_deleted = $2', [isDeleted]);
  }

  /** @throws AiosError `experiments.unknown` */
  async setTag(id: string, { key, value }: KeyValue): Promise<void> {
    const tag = JSON.stringify({ [key]: value });
    await this.#change((await this.active(id)).id, 'tags = tags || $2::jsonb', [tag]);
  }

  /** @throws AiosError `experiments.unknown` */
  async deleteTag(id: string, key: string): Promise<void> {
    await this.#change((await this.active(id)).id, 'tags = tags - $2::text', [key]);
  }

  /** @throws AiosError `experiments.filter_invalid` */
  async search({
    viewType = 'ACTIVE_ONLY',
    ...search
  }: Search & { viewType?: ViewType | undefined }): Promise<{
    items: Experiment[];
    nextPageToken: string | undefined;
  }> {
    const where = viewOf(viewType, 'is_deleted');
    const { rows, nextPageToken } = await searchPage<Experiment>(
      this.#deps.db,
      this.#deps.limits,
      { select: SELECT, columnOf, where: () => where, lastOrder: 'created_at desc, id desc' },
      search,
    );
    return { items: rows, nextPageToken };
  }

  async #change(id: number, change: string, values: readonly unknown[]): Promise<void> {
    const at = `$${values.length + 2}`;
    await this.#deps.commit.commit([
      tracked(`update experiments set ${change}, updated_at = ${at} where id = $1`, [
        id,
        ...values,
        timestamp(this.#deps.clock.now()),
      ]),
    ]);
  }
}

/** The condition that a view type is. @example viewOf('ALL', 'is_deleted') // [] */
export function viewOf(viewType: ViewType, column: string): readonly string[] {
  if (viewType === 'ALL') return [];
  return [viewType === 'DELETED_ONLY' ? column : `not ${column}`];
}

const columnOf: ColumnOf = (entity, key, bind) => {
  if (entity === 'tag') return { sql: `tags->>${bind(key)}::text`, type: 'text' };
  if (entity !== 'attribute') return undefined;
  switch (key) {
    case 'name':
      return { sql: 'name', type: 'text' };
    case 'experiment_id':
      return { sql: 'id::text', type: 'text' };
    case 'creation_time':
      return { sql: '(extract(epoch from created_at) * 1000)::float8', type: 'number' };
    case 'last_update_time':
      return { sql: '(extract(epoch from updated_at) * 1000)::float8', type: 'number' };
    default:
      return undefined;
  }
};
