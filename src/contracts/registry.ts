import { AiosError } from '../kernel/errors.ts';
import { isObject, type Json, type JsonObject } from '../kernel/json.ts';
import { compileSchema, escapePointer } from '../kernel/schema.ts';
import type { Database } from '../store/database.ts';
import type { Definition, Definitions } from '../store/definitions.ts';
import { type Write, write } from '../store/lane.ts';
import { type Assessment, assess } from './assessment.ts';
import { avroContract } from './avro-contract.ts';
import type { CompatibilityMode, Finding } from './compatibility.ts';
import type { ContractBody } from './contract-body.ts';
import type { DefaultCompatibility } from './default-compatibility.ts';
import { type Deprecation, deprecationLane } from './deprecations.ts';
import { RegistryDeletions } from './registry-deletions.ts';
import { RegistryModes } from './registry-modes.ts';
import { SchemaIds, type VersionName } from './schema-ids.ts';
import { versionFindings } from './version-findings.ts';

/** A version of a contract as the registry keeps it. */
export interface ContractVersion {
  readonly version: string;
  /** The definition that first held it. */
  readonly definition: Definition;
  readonly body: ContractBody;
  /** The mode that it is held to: its own, or the default of now. */
  readonly compatibility: CompatibilityMode;
  readonly deprecation: Deprecation | undefined;
}

/** A definition that names an event type. */
export interface Use {
  kind: string;
  name: string;
  version: number;
  /** Whether it sends such events, receives them, or both. */
  roles: UseRole[];
  /** JSON Pointers to where it does. */
  paths: string[];
}
type UseRole = 'producer' | 'consumer';

/** How two versions differ: each member that is another, and what each would refuse of the other's data. */
export interface ContractDiff {
  from: string;
  to: string;
  changes: { path: string; before?: Json; after?: Json }[];
  findings: Finding[];
}

/** Kinds whose bodies are looked through for a type's name. */
const USERS = ['workflow', 'feature-view', 'entity', 'decision', 'connector', 'queue', 'bridge'];

/**
 * What is known of contracts: their versions, who uses them, how versions differ, what a change would come to. Read from the
 * database: questions of people and tools, not of events.
 *
 * @example await registry.assess('order.placed', { schema }) // { isCompatible: false, findings: […], suggestedVersion: '2.0.0', … }
 */
export class ContractRegistry {
  readonly #db: Database;
  readonly #definitions: Pick<Definitions, 'list' | 'latest' | 'versions'>;

  /** The mode of contracts that name none. */
  readonly defaultCompatibility: DefaultCompatibility;
  /** The numbers of versions for the serializers of Kafka. */
  readonly schemaIds: SchemaIds;
  /** What clients of the schema registry have deleted there. */
  readonly registryDeletions: RegistryDeletions;
  /** Which subjects clients of the schema registry may change there. */
  readonly registryModes: RegistryModes;

  constructor(
    db: Database,
    definitions: Pick<Definitions, 'list' | 'latest' | 'versions'>,
    defaultCompatibility: DefaultCompatibility,
  ) {
    this.#db = db;
    this.schemaIds = new SchemaIds(db);
    this.registryDeletions = new RegistryDeletions(db);
    this.registryModes = new RegistryModes(db);
    this.defaultCompatibility = defaultCompatibility;
    this.#definitions = definitions;
  }

  /** The newest version of every contract, by name. */
  list(): { name: string; body: ContractBody; definition: Definition }[] {
    return this.#definitions
      .list('contract')
      .map((definition) => ({ name: definition.name, body: bodyOf(definition), definition }));
  }

  /** The newest version of a contract, which events are held to; nothing where there is none. */
  newest(name: string): ContractBody | undefined {
    const definition = this.#definitions.latest('contract', name);
    return definition && bodyOf(definition);
  }

  /** Every version of every contract by its name alone, the oldest first, in one question. */
  async versionNames(): Promise<VersionName[]> {
    return this.#db.query<VersionName>(
      `select name, body->>'version' as version from definitions where kind = 'contract' group by 1, 2 order by min(created_at), 1, 2`,
    );
  }

  /** The versions of contracts whose schema was taken in part from a version of this one, each by what it says now. */
  async referring({ name, version }: VersionName): Promise<VersionName[]> {
    return this.#db.query<VersionName>(
      `select name, version from (
         select distinct on (name, body->>'version') name, body->>'version' as version, body->'references' as listed
         from definitions where kind = 'contract' order by name, body->>'version', definitions.version desc) d
       where exists (select from json_array_elements(listed) r where r->>'contract' = $1 and r->>'version' = $2) order by 1, 2`,
      [name, version],
    );
  }

  /**
   * Every version, newest first.
   *
   * @throws AiosError `definition.not_found`
   */
  async versions(name: string): Promise<ContractVersion[]> {
    if (!this.#definitions.latest('contract', name))
      throw new AiosError('definition.not_found', { detail: `There is no contract “${name}”.` });
    const definitions = await this.#definitions.versions('contract', name);
    const rows = await this.#db.query<Deprecation & { version: string }>(
      'select version, deprecated_at as "deprecatedAt", sunset_at as "sunsetAt", message from contract_deprecations where contract = $1',
      [name],
    );
    const defaultMode = await this.defaultCompatibility.mode();
    const deprecated = new Map(rows.map(({ version, ...deprecation }) => [version, deprecation]));
    const versions = new Map<string, ContractVersion>();
    for (const definition of definitions) {
      const body = bodyOf(definition);
      // The newest wording of a version is read, its first definition says when it came.
      const reworded = versions.get(body.version)?.body ?? body;
      const { version } = body;
      const { compatibility = defaultMode } = reworded;
      const deprecation = deprecated.get(version);
      versions.set(version, { version, definition, body: reworded, compatibility, deprecation });
    }
    return [...versions.values()];
  }

  /**
   * One version: by its semantic version, or `latest`.
   *
   * @throws AiosError `definition.not_found`, `contracts.unknown_version`
   */
  async version(name: string, wanted: string): Promise<ContractVersion> {
    const versions = await this.versions(name);
    const found = wanted === 'latest' ? versions[0] : versions.find(({ version }) => version === wanted);
    if (found) return found;
    throw new AiosError('contracts.unknown_version', {
      detail: `“${name}” has no version ${wanted}; it has ${versions.map(({ version }) => version).join(', ')}.`,
    });
  }

  /**
   * What a changed contract would come to; nothing is changed.
   *
   * @param change the new schema, of JSON or of Avro; other members left out are those of the newest version
   * @param against one version instead of those that the mode names
   * @throws AiosError `definition.not_found`, `contracts.unknown_version`, `definition.invalid` when the schema is none
   */
  async assess(name: string, change: Partial<ContractBody>, against?: string): Promise<Assessment> {
    const versions = await this.versions(name);
    const accepted = against ? [await this.version(name, against)] : versions;
    const { schema, avro, ...rest } = versions[0]!.body;
    const { avro: wanted = change.schema ? undefined : avro } = change;
    const said = wanted === undefined ? { schema: change.schema ?? schema } : avroContract(wanted);
    const next = { ...rest, ...change, ...said };
    compileSchema(next.schema);
    return assess(
      accepted.map(({ body }) => body),
      next,
      await this.defaultCompatibility.mode(),
      versions[0]!.version,
    );
  }

  /** How two versions differ, and what each would refuse of the other's data. */
  async diff(name: string, from: string, to: string): Promise<ContractDiff> {
    const [before, after] = [await this.version(name, from), await this.version(name, to)];
    const changes: ContractDiff['changes'] = [];
    compare(before.body as unknown as Json, after.body as unknown as Json, '', changes);
    return {
      from: before.version,
      to: after.version,
      changes,
      findings: versionFindings('FULL', before.body, after.body, after.body.contentModel),
    };
  }

  /** Definitions that name the type, by kind and name. */
  uses(name: string): Use[] {
    return USERS.flatMap((kind) =>
      this.#definitions.list(kind).flatMap((definition) => {
        const paths: string[] = [];
        if (kind === 'bridge') findInBridge(definition.body, name, paths);
        else find(definition.body, name, '', paths);
        const roles = [...new Set(paths.map(roleAt))].sort();
        return paths.length > 0
          ? [{ kind, name: definition.name, version: definition.version, roles, paths }]
          : [];
      }),
    );
  }

  /**
   * The write that deprecates a version, or takes that back. Its commit is refused with `store.conflict` where the version is no longer as it was seen.
   *
   * @param before what was seen; undefined for a version that was not deprecated
   */
  deprecation(
    contract: string,
    version: string,
    before: Deprecation | undefined,
    wanted: Deprecation | undefined,
  ): Write {
    return write(deprecationLane, { contract, version, before, wanted });
  }
}

/** What is emitted, told of a task, or made of messages by a bridge, is sent; all else that names a type waits for it or reads it. */
export function roleAt(path: string): UseRole {
  return /\/(emit|notify)\/|^\/events\/type$/.test(path) ? 'producer' : 'consumer';
}

function bodyOf({ body }: Definition): ContractBody {
  return body as unknown as ContractBody;
}

function compare(before: Json, after: Json, path: string, changes: ContractDiff['changes']): void {
  if (isObject(before) && isObject(after)) {
    for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
      const place = `${path}/${escapePointer(name)}`;
      if (!Object.hasOwn(after, name)) changes.push({ path: place, before: before[name]! });
      else if (!Object.hasOwn(before, name)) changes.push({ path: place, after: after[name]! });
      else compare(before[name]!, after[name]!, place, changes);
    }
  } else if (JSON.stringify(before) !== JSON.stringify(after)) changes.push({ path, before, after });
}

/** What it calls its topics and itself is no type of event. */
function findInBridge({ types, events }: JsonObject, wanted: string, paths: string[]): void {
  if (types !== undefined) find(types, wanted, '/types', paths);
  const type = isObject(events) ? String(events.type).trim() : '';
  if (type === `'${wanted}'` || type === `"${wanted}"`) paths.push('/events/type');
}

function find(value: Json | JsonObject, wanted: string, path: string, paths: string[]): void {
  if (value === wanted) paths.push(path);
  if (typeof value !== 'object' || value === null) return;
  for (const [name, part] of Object.entries(value))
    find(part as Json, wanted, `${path}/${escapePointer(name)}`, paths);
}
