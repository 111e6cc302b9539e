import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../kernel/clock.ts';
import { AiosError, type Issue } from '../kernel/errors.ts';
import type { Limits } from '../kernel/limits.ts';
import type { Queryable } from '../store/database.ts';
import type { Definitions } from '../store/definitions.ts';
import type { Committer } from '../store/group-commit.ts';
import { type Write, write } from '../store/lane.ts';
import {
  type Actor,
  type Candidate,
  candidateOf,
  type NewVersion,
  namePattern,
  type Verify,
  verifyCandidate,
} from './candidate.ts';
import { retryConflicts } from './conflicts.ts';
import { type DatasetsOfModels, type ModelDataset, NO_DATASETS } from './datasets.ts';
import { unservable } from './kept-files.ts';
import { aliasLane, versionLane } from './lanes.ts';
import type { ModelChange } from './model-change.ts';
import { type ModelDefinition, SERVING_DEFAULTS } from './model-kind.ts';
import type { ModelVersion } from './model-version.ts';
import { type ResolvedModel, type TriedVersion, versionNamed } from './resolved-model.ts';
import type { RuntimeKinds } from './runtime-kind.ts';
import { type AliasRow, ServedAliases } from './served-aliases.ts';
import { signatureMisfits } from './signature-misfits.ts';
import { VERSION_COLUMNS, type VersionRow, versionFromRow } from './version-row.ts';

/** The alias that a reference without version means. */
export const DEFAULT_ALIAS = 'champion';

export interface Promotion {
  name: string;
  alias: string;
  version: number;
  by: Actor;
  /** Also where the calls of the alias do not fit the version: their callers change with it. */
  force?: boolean | undefined;
  /** The rollout that this promotion ends. */
  rollout?: string;
  /** Set when the alias goes back to what it meant before. */
  rollback?: { reason: string | null };
  /** Committed with it. */
  writes?: readonly Write[];
}

export interface Model {
  readonly name: string;
  /** The newest first. */
  readonly versions: readonly ModelVersion[];
  readonly aliases: Readonly<Record<string, number>>;
}

export interface ModelsDependencies {
  db: Queryable;
  commit: Committer;
  clock: Clock;
  limits: Pick<Limits, 'modelBytesMax'>;
  definitions: Pick<Definitions, 'latest' | 'onChange'>;
  runtimes: RuntimeKinds;
  verify: Verify;
  /** Without them no version names any. */
  datasets?: DatasetsOfModels;
  record(change: ModelChange): readonly Write[];
  /** Called before an alias moves: warm the version, so that its first request does not wait. */
  prepare?(name: string, version: number): Promise<void>;
  /** True when a version answers without having to start. */
  isReady?(name: string, version: number): boolean;
}

interface Entry {
  readonly versions: Map<number, ModelVersion & { fingerprint: string }>;
  aliases: Record<string, number>;
  /** What they mean in this process: the version before, until the one that another process promoted is warm here. */
  served: Record<string, number>;
  /** Dropped when the model's definition changes. */
  readonly resolved: Map<number, ResolvedModel>;
}

/**
 * The registry: versions of models and the aliases that say which is used. Read from memory; call `reload` once at the start, and
 * when another process may have changed it.
 *
 * @example const models = createModels({ db, commit, clock, limits, definitions, verify, record })
 */
export function createModels(dependencies: ModelsDependencies): Models {
  return new Models(dependencies);
}

export class Models {
  readonly #deps: ModelsDependencies;
  readonly #entries = new Map<string, Entry>();
  readonly #served: ServedAliases;
  /** Readings of the aliases so far, and the last that counted. */
  #turn = 0;
  #applied = 0;

  constructor(dependencies: ModelsDependencies) {
    this.#deps = dependencies;
    this.#served = new ServedAliases(dependencies, () => void this.reload().catch(() => {})); // the next poll reads them too
    dependencies.definitions.onChange((changed) => {
      for (const { kind, name } of changed) if (kind === 'model') this.#entries.get(name)?.resolved.clear();
    });
  }

  /**
   * Registers a version. The same file or endpoint, card and signature give the version that exists; nothing is written then.
   *
   * @throws AiosError `models.invalid`, `models.not_onnx`, `models.not_runnable`, `models.endpoint_unavailable`, `models.endpoint_refused`,
   * `models.signature_mismatch`, `request.too_large`
   * @example await models.register({ name: 'return-risk', onnx, card: { auc: 0.8 }, by: { kind: 'key', id } })
   */
  async register(wanted: NewVersion): Promise<ModelVersion> {
    const candidate = await this.#candidate(wanted);
    const { name, runtime, digest, fingerprint, endpoint, card, datasets } = candidate;
    const known = this.#byFingerprint(name, fingerprint);
    if (known) return known;
    const signature = await verifyCandidate(candidate, this.#deps.verify);
    const { datasets: uses = NO_DATASETS } = this.#deps;
    return retryConflicts(async () => {
      await this.reload();
      const present = this.#byFingerprint(name, fingerprint);
      if (present) return present;
      const version = this.#nextVersion(name);
      const { by, startedBy } = wanted;
      const at = this.#deps.clock.now();
      const named = datasets.length > 0 && { datasets: datasets.map((dataset) => ({ ...dataset })) };
      const what = { name, version, runtime, digest, ...(endpoint && { endpoint }) };
      await this.#deps.commit.commit([
        write(versionLane, { ...candidate, version, signature, createdAt: at, createdBy: by.id, startedBy }),
        ...datasets.map((dataset) => uses.use({ name, version }, dataset)),
        ...this.#deps.record({ kind: 'model.registered', ...what, by, at, card, ...named }),
      ]);
      await this.reload();
      return this.version(name, version);
    });
  }

  /**
   * Runs once what would be registered, unless it is a version already and is warmed up as before; nothing is kept.
   *
   * @param label stands before the reason in an error
   * @returns the version that it is, or would be if it were registered now
   * @throws AiosError as `register` does
   * @example await models.verify({ name: 'return-risk', onnx, by }, 'models/return-risk/model.yaml')
   */
  async verify(wanted: NewVersion, label = wanted.name): Promise<TriedVersion> {
    const candidate = await this.#candidate(wanted);
    const { name, fingerprint } = candidate;
    const known = this.#byFingerprint(name, fingerprint);
    const isRunAsBefore = isDeepStrictEqual(candidate.warmUp, this.#definitionOf(name)?.serving?.warmUp);
    if (known && isRunAsBefore) return { name, version: known.version, signature: known.signature };
    const signature = await verifyCandidate(candidate, this.#deps.verify, label);
    return { name, version: known?.version ?? this.#nextVersion(name), signature };
  }

  /**
   * Moves an alias to a version, warmed before. Where it stands already, nothing happens. Whether it may move is `Promotions`' to say.
   *
   * @throws AiosError `models.unknown_model`, `models.unknown_version`, `models.invalid`, `models.rollout_active`, `models.signature_changed` where callers would be refused
   * and it is neither forced nor a rollback
   * @example await models.promote({ name: 'return-risk', alias: 'champion', version: 2, by })
   */
  async promote({
    name,
    alias,
    version,
    by,
    force,
    rollout,
    rollback,
    writes = [],
  }: Promotion): Promise<void> {
    if (!namePattern.test(alias) || /^\d+$/.test(alias)) {
      throw new AiosError('models.invalid', {
        detail: `“${alias}” is not an alias: small letters, digits, dots and dashes, not digits alone.`,
      });
    }
    await retryConflicts(async () => {
      await this.reload();
      const target = this.version(name, version);
      const from = this.#entries.get(name)?.aliases[alias] ?? 0;
      if (from === version) return;
      const fault = unservable(target);
      if (fault && from > 0 && !unservable(this.version(name, from))) throw fault;
      const isForced = force && this.misfits(name, alias, version).length > 0;
      if (!rollback && !force) this.refuseMisfits(name, alias, version);
      if (!fault) await this.#deps.prepare?.(name, version);
      const at = this.#deps.clock.now();
      const moved = {
        name,
        version,
        digest: target.digest,
        by,
        at,
        alias,
        from,
        ...(isForced && { forced: true }),
      };
      const change: ModelChange = rollback
        ? { kind: 'model.rolled-back', ...moved, ...rollback }
        : { kind: 'model.promoted', ...moved };
      const before = rollback || from === 0 ? undefined : from;
      await this.#deps.commit.commit([
        write(aliasLane, { name, alias, version, from, before, rollout }),
        ...this.#deps.record(change),
        ...writes,
      ]);
      await this.reload();
    });
  }

  /**
   * Why calls of an alias would be refused once it means another version. Nothing where it means none that answers.
   *
   * @throws AiosError `models.unknown_model`, `models.unknown_version`
   * @example models.misfits('return-risk', 'champion', 2) // [{ path: '/inputs/x', message: 'callers do not send it' }]
   */
  misfits(name: string, alias: string, version: number): Issue[] {
    const now = this.version(name, version);
    const from = this.#entry(name).aliases[alias];
    if (from === undefined || from === version) return [];
    const before = this.version(name, from);
    return unservable(before) || unservable(now) ? [] : signatureMisfits(before.signature, now.signature);
  }

  /** @throws AiosError `models.signature_changed` where `misfits` finds something, beside what it throws */
  refuseMisfits(name: string, alias: string, version: number): void {
    const issues = this.misfits(name, alias, version);
    if (issues.length === 0) return;
    throw new AiosError('models.signature_changed', {
      detail: `${alias} of ${name} points at version ${this.get(name).aliases[alias]}, whose calls version ${version} does not accept.`,
      issues,
    });
  }

  /** Registers what a project's definition names, and gives its first version the alias, unless that needs approvals. */
  async applyDefinition(wanted: NewVersion, alias: string = DEFAULT_ALIAS): Promise<ModelVersion> {
    const { name, by } = wanted;
    const version = await this.register(wanted);
    const isOpen = !this.#definitionOf(name)?.promotion?.approvals;
    if (isOpen && this.#entries.get(name)?.aliases[alias] === undefined)
      await this.promote({ name, alias, version: version.version, by });
    return version;
  }

  /**
   * What a reference means now; nothing means `champion`. From memory.
   *
   * @throws AiosError `models.unknown_model`, `models.unknown_version`, `models.not_servable`
   * @example models.resolve('return-risk', 'champion').version
   */
  resolve(name: string, reference: string | number = DEFAULT_ALIAS): ResolvedModel {
    const entry = this.#entry(name);
    const number =
      typeof reference === 'number' ? reference : (entry.served[reference] ?? versionNamed(reference));
    const resolved = entry.resolved.get(number);
    if (resolved) return resolved;
    const found = entry.versions.get(number);
    if (!found) {
      throw new AiosError('models.unknown_version', {
        detail: `${name} has no version or alias “${reference}”.`,
      });
    }
    const fault = unservable(found);
    if (fault) throw fault;
    const { version, digest, signature, runtime, endpoint } = found;
    const serving = { ...SERVING_DEFAULTS, ...this.#definitionOf(name)?.serving };
    const made: ResolvedModel = { name, version, digest, signature, serving, runtime, endpoint };
    entry.resolved.set(number, made);
    return made;
  }

  /** @throws AiosError `models.unknown_model`, `models.unknown_version` */
  version(name: string, version: number): ModelVersion {
    const found = this.#entry(name).versions.get(version);
    if (!found)
      throw new AiosError('models.unknown_version', { detail: `${name} has no version ${version}.` });
    const { fingerprint: _, ...rest } = found;
    return rest;
  }

  /** What a version was trained on; nothing of one that is not there. */
  datasetsOf(name: string, version: number): readonly ModelDataset[] {
    return this.#entries.get(name)?.versions.get(version)?.datasets ?? [];
  }

  /** @throws AiosError `models.unknown_model` */
  get(name: string): Model {
    const { versions, aliases } = this.#entry(name);
    const numbers = [...versions.keys()].sort((a, b) => b - a);
    return { name, versions: numbers.map((number) => this.version(name, number)), aliases: { ...aliases } };
  }

  /** Every model, by name. */
  list(): Model[] {
    return [...this.#entries.keys()].sort().map((name) => this.get(name));
  }

  /** The bytes of a version's file, or the canonical JSON of its endpoint. @throws AiosError `models.unknown_version` */
  async artifact(digest: string): Promise<Uint8Array> {
    const [row] = await this.#deps.db.query<{ bytes: Uint8Array }>(
      `select coalesce(bytes, (select string_agg(c.bytes, ''::bytea order by number) from artifact_chunks c where c.digest = a.digest)) as bytes
       from artifacts a where digest = $1`,
      [digest],
    );
    if (!row) throw new AiosError('models.unknown_version', { detail: `There is no artifact ${digest}.` });
    return row.bytes;
  }

  /** Reads versions and aliases that other processes may have made. */
  async reload(): Promise<void> {
    const rows = await this.#deps.db.query<VersionRow>(
      `select ${VERSION_COLUMNS} from model_versions order by name, version`,
    );
    for (const row of rows) {
      let entry = this.#entries.get(row.name);
      if (!entry) {
        entry = { versions: new Map(), aliases: {}, served: {}, resolved: new Map() };
        this.#entries.set(row.name, entry);
      }
      if (!entry.versions.has(row.version)) entry.versions.set(row.version, versionFromRow(row));
    }
    const turn = ++this.#turn;
    const aliases = await this.#deps.db.query<AliasRow>(
      'select name, alias, version, before from model_aliases',
    );
    if (turn < this.#applied) return; // a later reading overtook this one: what it found is newer
    this.#applied = turn;
    const grouped = Map.groupBy(aliases, ({ name }) => name);
    for (const [name, entry] of this.#entries) {
      const own = grouped.get(name) ?? [];
      const pairs = own.map(({ alias, version }) => [alias, version]);
      entry.aliases = Object.assign(Object.create(null), Object.fromEntries(pairs));
      entry.served = this.#served.of(entry.served, own);
    }
  }

  async #candidate(wanted: NewVersion): Promise<Candidate> {
    const { runtimes, limits, datasets = NO_DATASETS } = this.#deps;
    const settled = wanted.datasets?.length ? await datasets.settle(wanted.datasets) : [];
    const serving = wanted.serving ?? this.#definitionOf(wanted.name)?.serving;
    return candidateOf({ ...wanted, serving }, runtimes, limits, settled);
  }

  /** The one in force. */
  #definitionOf(name: string): ModelDefinition | undefined {
    return this.#deps.definitions.latest('model', name)?.body as ModelDefinition | undefined;
  }

  #entry(name: string): Entry {
    const entry = this.#entries.get(name);
    if (!entry) throw new AiosError('models.unknown_model', { detail: `There is no model “${name}”.` });
    return entry;
  }

  #nextVersion(name: string): number {
    return Math.max(0, ...(this.#entries.get(name)?.versions.keys() ?? [])) + 1;
  }

  #byFingerprint(name: string, fingerprint: string): ModelVersion | undefined {
    const versions = this.#entries.get(name)?.versions.values() ?? [];
    const found = [...versions].find((each) => each.fingerprint === fingerprint);
    return found && this.version(name, found.version);
  }
}
