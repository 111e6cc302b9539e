import { digestOf, digestOfBytes } from '../kernel/canonical.ts';
import type { Clock } from '../kernel/clock.ts';
import { AiosError } from '../kernel/errors.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import type { Limits } from '../kernel/limits.ts';
import { compileSchema } from '../kernel/schema.ts';
import type { Queryable } from '../store/database.ts';
import type { Definitions } from '../store/definitions.ts';
import { type Committer, type Write, write } from '../store/group-commit.ts';
import { aliasLane, versionLane } from './lanes.ts';
import { type ModelDefinition, NAME_PATTERN, SERVING_DEFAULTS, type ServingOptions } from './model-kind.ts';
import { type DeclaredSignature, SIGNATURE_SCHEMA, type Signature, settleSignature } from './signature.ts';

/** The alias that a reference without version means. */
const DEFAULT_ALIAS = 'champion';
const ATTEMPTS_MAX = 5; // each lost race means that another process registered or promoted

/** Who did it, as the audit log names actors. */
export interface Actor {
  readonly kind: string;
  readonly id: string;
}

export interface NewVersion {
  name: string;
  onnx: Uint8Array;
  /** What it leaves out is taken from the file. */
  signature?: DeclaredSignature | undefined;
  card?: JsonObject | undefined;
  metadata?: JsonObject | undefined;
  by: Actor;
}

export interface Promotion {
  name: string;
  alias: string;
  version: number;
  by: Actor;
}

export interface ModelVersion {
  readonly name: string;
  readonly version: number;
  readonly digest: string;
  readonly sizeBytes: number;
  readonly signature: Signature;
  readonly card: JsonObject;
  readonly metadata: JsonObject;
  /** Only a version that passed its warm-up in a real replica is kept. */
  readonly status: 'ready';
  readonly createdAt: number;
  readonly createdBy: string;
}

export interface Model {
  readonly name: string;
  /** The newest first. */
  readonly versions: readonly ModelVersion[];
  readonly aliases: Readonly<Record<string, number>>;
}

/** What an inference needs of a version. The same object as long as nothing changed. */
export interface ResolvedModel {
  readonly name: string;
  readonly version: number;
  readonly digest: string;
  readonly signature: Signature;
  readonly serving: ServingOptions;
  readonly runtime: 'onnx';
}

/** A change of the registry, for the audit log: its writes are committed with the change. */
export type ModelChange =
  | {
      kind: 'model.registered';
      name: string;
      version: number;
      digest: string;
      by: Actor;
      at: number;
      card: JsonObject;
    }
  | {
      kind: 'model.promoted';
      name: string;
      version: number;
      digest: string;
      by: Actor;
      at: number;
      alias: string;
      from: number;
    };

export interface ModelsDependencies {
  db: Queryable;
  commit: Committer;
  clock: Clock;
  limits: Pick<Limits, 'modelBytesMax'>;
  definitions: Pick<Definitions, 'latest' | 'onChange'>;
  /** Loads the bytes in a real replica and runs them once; answers with the file's own tensors. */
  verify(
    bytes: Uint8Array,
    label: string,
  ): Promise<
    | ({ ok: true } & Pick<Signature, 'inputs' | 'outputs'>)
    | { ok: false; stage: 'load' | 'run'; reason: string }
  >;
  record(change: ModelChange): readonly Write[];
  /** Called before an alias moves: warm the version, so that its first request does not wait. */
  prepare?(name: string, version: number): Promise<void>;
}

interface VersionRow {
  name: string;
  version: number;
  digest: string;
  fingerprint: string;
  size_bytes: number;
  signature: Signature;
  card: JsonObject;
  metadata: JsonObject;
  created_at: number;
  created_by: string;
}

interface Entry {
  readonly versions: Map<number, ModelVersion & { fingerprint: string }>;
  aliases: Record<string, number>;
  /** Dropped when the model's definition changes. */
  readonly resolved: Map<number, ResolvedModel>;
}

const validateSignature = compileSchema(SIGNATURE_SCHEMA as unknown as JsonObject);
const namePattern = new RegExp(NAME_PATTERN);

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

  constructor(dependencies: ModelsDependencies) {
    this.#deps = dependencies;
    dependencies.definitions.onChange((changed) => {
      for (const { kind, name } of changed) if (kind === 'model') this.#entries.get(name)?.resolved.clear();
    });
  }

  /**
   * Registers a version. The same file, card and signature give the version that exists; nothing is written then.
   *
   * @throws AiosError `models.invalid`, `models.not_onnx`, `models.not_runnable`, `models.signature_mismatch`, `request.too_large`
   * @example await models.register({ name: 'return-risk', onnx, card: { auc: 0.8 }, by: { kind: 'key', id } })
   */
  async register(candidate: NewVersion): Promise<ModelVersion> {
    this.#check(candidate);
    const { name, onnx, signature: declared = {}, card = {}, metadata = {}, by } = candidate;
    const digest = digestOfBytes(onnx);
    const fingerprint = digestOf({ digest, card, metadata, signature: declared as Json });
    const known = this.#byFingerprint(name, fingerprint);
    if (known) return known;
    const own = await this.#deps.verify(onnx, name);
    if (!own.ok) {
      const code = own.stage === 'load' ? 'models.not_onnx' : 'models.not_runnable';
      throw new AiosError(code, { detail: `${name}: ${own.reason}` });
    }
    const signature = settleSignature(declared, own);
    return retryConflicts(async () => {
      await this.reload();
      const present = this.#byFingerprint(name, fingerprint);
      if (present) return present;
      const version = Math.max(0, ...(this.#entries.get(name)?.versions.keys() ?? [])) + 1;
      const at = this.#deps.clock.now();
      const change: ModelChange = { kind: 'model.registered', name, version, digest, by, at, card };
      const item = { name, version, digest, fingerprint, bytes: onnx, signature, card, metadata };
      await this.#deps.commit.commit([
        write(versionLane, { ...item, createdAt: at, createdBy: by.id }),
        ...this.#deps.record(change),
      ]);
      await this.reload();
      return this.version(name, version);
    });
  }

  /**
   * Moves an alias to a version, warmed before. Where it stands already, nothing happens.
   *
   * @throws AiosError `models.unknown_model`, `models.unknown_version`, `models.invalid`
   * @example await models.promote({ name: 'return-risk', alias: 'champion', version: 2, by })
   */
  async promote({ name, alias, version, by }: Promotion): Promise<void> {
    if (!namePattern.test(alias) || /^\d+$/.test(alias)) {
      throw new AiosError('models.invalid', {
        detail: `“${alias}” is no alias: small letters, digits, dots and dashes, not digits alone.`,
      });
    }
    await retryConflicts(async () => {
      await this.reload();
      const { digest } = this.version(name, version);
      const from = this.#entries.get(name)?.aliases[alias] ?? 0;
      if (from === version) return;
      await this.#deps.prepare?.(name, version);
      const at = this.#deps.clock.now();
      const change: ModelChange = { kind: 'model.promoted', name, version, digest, by, at, alias, from };
      await this.#deps.commit.commit([
        write(aliasLane, { name, alias, version, from }),
        ...this.#deps.record(change),
      ]);
      await this.reload();
    });
  }

  /** Registers what a project's definition names, and gives its first version the alias. */
  async applyDefinition(definition: ModelDefinition, onnx: Uint8Array, by: Actor): Promise<ModelVersion> {
    const { name, signature, card, metadata, alias = DEFAULT_ALIAS } = definition;
    const version = await this.register({ name, onnx, signature, card, metadata, by });
    if (this.#entries.get(name)?.aliases[alias] === undefined)
      await this.promote({ name, alias, version: version.version, by });
    return version;
  }

  /**
   * What a reference means now; nothing means `champion`. From memory.
   *
   * @throws AiosError `models.unknown_model`, `models.unknown_version`
   * @example models.resolve('return-risk', 'champion').version
   */
  resolve(name: string, reference: string | number = DEFAULT_ALIAS): ResolvedModel {
    const entry = this.#entry(name);
    const number =
      typeof reference === 'number' ? reference : (entry.aliases[reference] ?? Number(reference));
    const resolved = entry.resolved.get(number);
    if (resolved) return resolved;
    const found = entry.versions.get(number);
    if (!found) {
      throw new AiosError('models.unknown_version', {
        detail: `${name} has no version or alias “${reference}”.`,
      });
    }
    const definition = this.#deps.definitions.latest('model', name)?.body as ModelDefinition | undefined;
    const { version, digest, signature } = found;
    const serving = { ...SERVING_DEFAULTS, ...definition?.serving };
    const made: ResolvedModel = { name, version, digest, signature, serving, runtime: 'onnx' };
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

  /** The bytes of a version's file. @throws AiosError `models.unknown_version` */
  async artifact(digest: string): Promise<Uint8Array> {
    const [row] = await this.#deps.db.query<{ bytes: Uint8Array }>(
      'select bytes from artifacts where digest = $1',
      [digest],
    );
    if (!row) throw new AiosError('models.unknown_version', { detail: `There is no artifact ${digest}.` });
    return row.bytes;
  }

  /** Reads versions and aliases that other processes may have made. */
  async reload(): Promise<void> {
    const rows = await this.#deps.db.query<VersionRow>(
      `select name, version, digest, fingerprint, size_bytes, signature, card, metadata, created_at, created_by
       from model_versions order by name, version`,
    );
    for (const row of rows) {
      let entry = this.#entries.get(row.name);
      if (!entry) {
        entry = { versions: new Map(), aliases: {}, resolved: new Map() };
        this.#entries.set(row.name, entry);
      }
      if (!entry.versions.has(row.version)) entry.versions.set(row.version, fromRow(row));
    }
    const aliases = await this.#deps.db.query<{ name: string; alias: string; version: number }>(
      'select name, alias, version from model_aliases',
    );
    const grouped = Map.groupBy(aliases, ({ name }) => name);
    for (const [name, entry] of this.#entries) {
      const pairs = (grouped.get(name) ?? []).map(({ alias, version }) => [alias, version]);
      entry.aliases = Object.assign(Object.create(null), Object.fromEntries(pairs));
    }
  }

  #entry(name: string): Entry {
    const entry = this.#entries.get(name);
    if (!entry) throw new AiosError('models.unknown_model', { detail: `There is no model “${name}”.` });
    return entry;
  }

  #byFingerprint(name: string, fingerprint: string): ModelVersion | undefined {
    const versions = this.#entries.get(name)?.versions.values() ?? [];
    const found = [...versions].find((each) => each.fingerprint === fingerprint);
    return found && this.version(name, found.version);
  }

  #check({ name, onnx, signature }: NewVersion): void {
    if (!namePattern.test(name)) {
      throw new AiosError('models.invalid', {
        detail: `“${name}” is no model name: small letters, digits, dots, dashes and underscores, at most 100.`,
      });
    }
    const limit = this.#deps.limits.modelBytesMax;
    if (onnx.length > limit) {
      throw new AiosError('request.too_large', {
        detail: `The model has ${onnx.length} bytes.`,
        extensions: { limitName: 'modelBytesMax', limit },
      });
    }
    const issues = signature ? validateSignature(signature) : [];
    if (issues.length > 0) {
      throw new AiosError('models.invalid', {
        issues: issues.map((issue) => ({ ...issue, path: `/signature${issue.path}` })),
      });
    }
  }
}

async function retryConflicts<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      const raced = error instanceof AiosError && error.code === 'store.conflict';
      if (!raced || attempt === ATTEMPTS_MAX) throw error;
    }
  }
}

function fromRow(row: VersionRow): ModelVersion & { fingerprint: string } {
  const { size_bytes: sizeBytes, created_at: createdAt, created_by: createdBy, ...rest } = row;
  return { ...rest, sizeBytes, createdAt, createdBy, status: 'ready' };
}
