import { AiosError } from '../../kernel/errors.ts';
import type { JsonObject } from '../../kernel/json.ts';
import { type Write, write } from '../../store/lane.ts';
import { timestamp } from '../../store/rows.ts';
import type { Actor } from '../candidate.ts';
import { retryConflicts } from '../conflicts.ts';
import { aliasRemovalLane, type RemovedAlias } from '../kept-files.ts';
import type { ModelVersion } from '../model-version.ts';
import type { Models } from '../models.ts';
import type { Promotions } from '../promotions.ts';
import { modelArtifacts, type TrackingArtifacts } from './artifacts.ts';
import type { TrackingDependencies } from './experiments.ts';
import { type KeyValue, keyed } from './keyed.ts';
import type { LoggedModels } from './logged-models.ts';
import { filesAt, loggedModelOf, onnxOf, type RegisteredFiles } from './registered-files.ts';
import {
  MODELS,
  modelColumn,
  type RegisteredModel,
  type RegisteredVersion,
  VERSIONS,
  versionColumn,
} from './registry-rows.ts';
import { type Search, searchPage } from './search.ts';
import { tracked } from './tracking-lane.ts';
import type { TrainingRuns } from './training-runs.ts';

export interface RegistryDependencies extends TrackingDependencies {
  models: Models;
  promotions: Pick<Promotions, 'promote'>;
  artifacts: TrackingArtifacts;
  runs: TrainingRuns;
  loggedModels: LoggedModels;
  /** The audit entry of an alias that was taken away. */
  recordRemoval(removed: RemovedAlias & { by: Actor; at: number }): readonly Write[];
}

export interface NewRegisteredVersion {
  name: string;
  source: string;
  runId?: string | undefined;
  runLink?: string | undefined;
  modelId?: string | undefined;
  description?: string | undefined;
  tags?: readonly KeyValue[] | undefined;
  by: Actor;
  /** The person who started the training whose key it comes by. */
  startedBy?: string | undefined;
}

const NAME_CHARS_MAX = 100;

/** Where MLflow's client puts the text of a prompt. */
const PROMPT_TAG = 'mlflow.prompt.text';

/**
 * The name in AIOS of a model that a client of MLflow names: small letters, digits, dots, dashes and underscores.
 *
 * @example modelName('Return Risk (EU)') // 'return-risk-eu'
 */
export function modelName(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+|-+$/g, '')
    .slice(0, NAME_CHARS_MAX);
}

/**
 * MLflow's view of the registry: its registered models and versions are the ones that AIOS serves, with what MLflow lets people change (descriptions,
 * tags) beside them.
 *
 * @example await registry.createVersion({ name: 'return-risk', source: 'models:/m-…', by })
 */
export class RegisteredModels {
  readonly #deps: RegistryDependencies;

  constructor(dependencies: RegistryDependencies) {
    this.#deps = dependencies;
  }

  /** @throws AiosError `models.name_taken`, `models.invalid` */
  async create(wanted: {
    name: string;
    description?: string | undefined;
    tags?: readonly KeyValue[] | undefined;
    by: Actor;
  }): Promise<RegisteredModel> {
    const { name: title, description = '', tags, by } = wanted;
    const name = modelName(title);
    if (name === '')
      throw new AiosError('models.invalid', {
        detail: `“${title}” has no letter or digit to name a model by.`,
      });
    const present = await this.#find(title);
    if (present)
      throw new AiosError('models.name_taken', {
        detail: `“${title}” is the model ${present.name}, registered as “${present.title}”.`,
      });
    await this.#deps.commit.commit([
      tracked(
        `insert into registered_models (name, title, description, tags, created_at, updated_at, created_by)
         values ($1, $2, $3, $4, $5, $5, $6) on conflict do nothing`,
        [name, title, description, JSON.stringify(keyed(tags)), timestamp(this.#deps.clock.now()), by.id],
      ),
    ]);
    return this.get(title);
  }

  /** @throws AiosError `models.unknown_model` */
  async get(title: string): Promise<RegisteredModel> {
    const found = await this.#find(title);
    if (found) return found;
    throw new AiosError('models.unknown_model', { detail: `There is no registered model “${title}”.` });
  }

  /** @throws AiosError `models.unknown_model` */
  async describe(title: string, description: string): Promise<RegisteredModel> {
    await this.#changeModel(title, 'description = $2', description);
    return this.get(title);
  }

  /** @throws AiosError `models.unknown_model` */
  async setTag(title: string, { key, value }: KeyValue): Promise<void> {
    await this.#changeModel(title, 'tags = tags || $2::jsonb', JSON.stringify({ [key]: value }));
  }

  /** @throws AiosError `models.unknown_model` */
  async deleteTag(title: string, key: string): Promise<void> {
    await this.#changeModel(title, 'tags = tags - $2::text', key);
  }

  /** Takes a name back that no version has. @throws AiosError `models.unknown_model`, `models.kept` */
  async delete(title: string): Promise<void> {
    const { name } = await this.get(title);
    if (this.#versionsOf(name).length > 0)
      throw new AiosError('models.kept', { detail: `${name} has versions, and they are not deleted.` });
    await this.#deps.commit.commit([tracked('delete from registered_models where name = $1', [name])]);
  }

  /**
   * Makes a version of what is at a source. With an ONNX file that runs it is one like any other; otherwise it is kept as files, with the reason.
   *
   * @throws AiosError `models.unknown_model`, `experiments.unknown`, `request.too_large`
   */
  async createVersion(wanted: NewRegisteredVersion): Promise<RegisteredVersion> {
    const { name: title, source, runLink, modelId, description = '', tags, by } = wanted;
    const { name } = await this.get(title);
    await this.#changeModel(title, 'description = coalesce($2, description)', null); // a model of AIOS gets its row with its first version of MLflow
    const { files, card: trained, runId } = await this.#filesOf(source, wanted.runId, modelId);
    // A prompt is all in a tag: in the card it makes a version of each text.
    const prompt = keyed(tags)[PROMPT_TAG];
    const card = prompt === undefined ? trained : { ...trained, prompt };
    const metadata: JsonObject = {
      mlflow: { source, ...(runId && { runId }), ...(modelId && { modelId }) },
    };
    const { version } = await this.#register({
      name,
      source,
      files,
      card,
      metadata,
      by,
      startedBy: wanted.startedBy,
    });
    await this.#deps.commit.commit([
      tracked(
        `insert into registered_versions (name, version, description, tags, run_id, run_link, source, model_id, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (name, version) do nothing`,
        [
          name,
          version,
          description,
          JSON.stringify(keyed(tags)),
          runId || null,
          runLink || null,
          source,
          modelId || null,
          timestamp(this.#deps.clock.now()),
        ],
      ),
    ]);
    return this.version(title, version);
  }

  /** @throws AiosError `models.unknown_model`, `models.unknown_version` */
  async version(title: string, version: number | string): Promise<RegisteredVersion> {
    const { name } = await this.get(title);
    const number = /^\d{1,9}$/.test(String(version)) ? Number(version) : -1;
    const [row] = await this.#deps.db.query<RegisteredVersion>(
      `${VERSIONS} where name = $1 and version = $2`,
      [name, number],
    );
    if (row) return row;
    throw new AiosError('models.unknown_version', { detail: `${name} has no version ${version}.` });
  }

  /** @throws AiosError `models.unknown_model`, `models.unknown_version` */
  async versionOf(title: string, alias: string): Promise<RegisteredVersion> {
    const { name, aliases } = await this.get(title);
    const version = aliases[alias];
    if (version === undefined)
      throw new AiosError('models.unknown_version', { detail: `${name} has no alias “${alias}”.` });
    return this.version(title, version);
  }

  /** The address of a version's files. @throws AiosError `models.unknown_model`, `models.unknown_version` */
  async filesOf(title: string, version: number | string): Promise<string> {
    const { source } = await this.version(title, version);
    const id = loggedModelOf(source);
    return id ? modelArtifacts(await this.#deps.loggedModels.get(id, true)) : source;
  }

  /** The newest version of each model, by name; nothing for one without any. */
  async latestVersions(models: readonly RegisteredModel[]): Promise<ReadonlyMap<string, RegisteredVersion>> {
    const rows = await this.#deps.db.query<RegisteredVersion>(
      `select distinct on (name) * from (${VERSIONS}) every where name = any($1::text[]) order by name, version desc`,
      [models.map(({ name }) => name)],
    );
    return new Map(rows.map((version) => [version.name, version]));
  }

  /** @throws AiosError `experiments.filter_invalid` */
  async searchModels(
    search: Search,
  ): Promise<{ items: RegisteredModel[]; nextPageToken: string | undefined }> {
    const { db, limits } = this.#deps;
    const searched = { select: MODELS, columnOf: modelColumn, where: () => [], lastOrder: 'title' };
    const { rows, nextPageToken } = await searchPage<RegisteredModel>(db, limits, searched, search);
    return { items: rows, nextPageToken };
  }

  /** @throws AiosError `experiments.filter_invalid` */
  async searchVersions(
    search: Search,
  ): Promise<{ items: RegisteredVersion[]; nextPageToken: string | undefined }> {
    const { db, limits } = this.#deps;
    const searched = {
      select: VERSIONS,
      columnOf: versionColumn,
      where: () => [],
      lastOrder: '"updatedAt" desc, title, version desc',
    };
    const { rows, nextPageToken } = await searchPage<RegisteredVersion>(db, limits, searched, search);
    return { items: rows, nextPageToken };
  }

  /** @throws AiosError `models.unknown_model`, `models.unknown_version` */
  async changeVersion(
    title: string,
    version: number | string,
    change: { description: string } | { tag: KeyValue } | { deletedTag: string },
  ): Promise<RegisteredVersion> {
    const { name } = await this.version(title, version);
    const [set, value] =
      'description' in change
        ? ['description = $3', change.description]
        : 'tag' in change
          ? ['tags = v.tags || $3::jsonb', JSON.stringify({ [change.tag.key]: change.tag.value })]
          : ['tags = v.tags - $3::text', change.deletedTag];
    const now = timestamp(this.#deps.clock.now());
    await this.#deps.commit.commit([
      tracked(
        `insert into registered_versions (name, version, updated_at) values ($1, $2, $3) on conflict do nothing`,
        [name, Number(version), now],
      ),
      tracked(`update registered_versions v set ${set}, updated_at = $4 where name = $1 and version = $2`, [
        name,
        Number(version),
        value,
        now,
      ]),
    ]);
    return this.version(title, version);
  }

  /**
   * Moves an alias as `aios models promote` does, with the approvals that the model's definition asks for.
   *
   * @throws AiosError `models.invalid` for a name that says which version it is, `models.approval_needed` when it waits for approvals, and those of a promotion
   */
  async setAlias(title: string, alias: string, version: number | string, by: Actor): Promise<void> {
    if (/^(?:latest|v\d+)$/i.test(alias))
      throw new AiosError('models.invalid', {
        detail: `The alias “${alias}” is reserved in MLflow: it reads as the newest version, or as the one of that number. Choose another, such as champion.`,
      });
    const { name } = await this.version(title, version);
    const { isPromoted, standing } = await this.#deps.promotions.promote({
      model: name,
      alias,
      version: Number(version),
      by,
    });
    if (isPromoted) return;
    throw new AiosError('models.approval_needed', {
      detail: `${name}/${version} waits for ${standing.approvalsMissing} more approvals before ${alias} moves; it moves with the last of them.`,
    });
  }

  /** What asks by the alias is refused from then on. Where there is none, nothing happens. @throws AiosError `models.unknown_model`, `models.rollout_active` */
  async deleteAlias(title: string, alias: string, by: Actor): Promise<void> {
    await retryConflicts(async () => {
      const { name, aliases } = await this.get(title);
      const version = aliases[alias];
      if (version === undefined) return;
      const removed = { name, alias, version };
      const at = this.#deps.clock.now();
      await this.#deps.commit.commit([
        write(aliasRemovalLane, removed),
        ...this.#deps.recordRemoval({ ...removed, by, at }),
      ]);
      await this.#deps.models.reload();
    });
  }

  async #register(wanted: {
    name: string;
    source: string;
    files: RegisteredFiles['files'];
    card: JsonObject;
    metadata: JsonObject;
    by: Actor;
    startedBy: string | undefined;
  }): Promise<ModelVersion> {
    const { name, source, files, card, metadata, by, startedBy } = wanted;
    const { models } = this.#deps;
    const kept = Object.fromEntries(files.map(({ path, digest }) => [path, digest]));
    const keep = (reason: string) =>
      models.register({ name, kept: { reason, source, files: kept }, card, metadata, by, startedBy });
    if (card.prompt !== undefined) return keep('it is a prompt.');
    const found = onnxOf(files, this.#deps.limits);
    if (typeof found === 'string') return keep(found);
    try {
      const onnx = await models.artifact(found.digest);
      return await models.register({ name, onnx, card, metadata, by, startedBy });
    } catch (error) {
      if (!(error instanceof AiosError) || !KEPT.has(error.code)) throw error;
      return keep(`${found.path} does not run: ${error.message}`);
    }
  }

  /** A version that is copied from another (`models:/name/2`) has the files of that one. */
  async #filesOf(
    source: string,
    runId: string | undefined,
    modelId: string | undefined,
  ): Promise<RegisteredFiles> {
    const [, title, version] = /^models:\/+([^/@]+)\/(\d+)$/.exec(source) ?? [];
    if (title === undefined || loggedModelOf(source)) return filesAt(this.#deps, { source, runId, modelId });
    const origin = await this.version(title, version!);
    return filesAt(this.#deps, {
      source: origin.source,
      runId: runId || origin.runId || undefined,
      modelId: modelId || origin.modelId || undefined,
    });
  }

  #versionsOf(name: string): readonly ModelVersion[] {
    return this.#deps.models.list().find((model) => model.name === name)?.versions ?? [];
  }

  async #find(title: string): Promise<RegisteredModel | undefined> {
    await this.#deps.models.reload();
    const [row] = await this.#deps.db.query<RegisteredModel>(
      `${MODELS} where title = $1 or name = $2 order by (title = $1) desc limit 1`,
      [title, modelName(title)],
    );
    return row;
  }

  async #changeModel(title: string, change: string, value: unknown): Promise<void> {
    const { name, title: own, createdAt, createdBy } = await this.get(title);
    const now = timestamp(this.#deps.clock.now());
    await this.#deps.commit.commit([
      tracked(
        `insert into registered_models (name, title, created_at, updated_at, created_by) values ($1, $2, $3, $4, $5) on conflict do nothing`,
        [name, own, timestamp(createdAt), now, createdBy],
      ),
      tracked(`update registered_models set ${change}, updated_at = $3 where name = $1`, [name, value, now]),
    ]);
  }
}

/** Faults of a file, not of the moment: it is kept, and they are told. */
const KEPT: ReadonlySet<string> = new Set([
  'models.not_onnx',
  'models.not_runnable',
  'models.signature_mismatch',
]);
