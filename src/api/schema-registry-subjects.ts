import { avroContract, type SchemaOf, sameSchema } from '../contracts/avro-contract.ts';
import type { ContractBody } from '../contracts/contract-body.ts';
import type { ContractRegistry, ContractVersion } from '../contracts/registry.ts';
import type { Deletion, RegistryDeletions } from '../contracts/registry-deletions.ts';
import type { RegistryModes } from '../contracts/registry-modes.ts';
import type { VersionName } from '../contracts/schema-ids.ts';
import { bundledAvro } from '../kernel/avro/avro-names.ts';
import { canonicalize } from '../kernel/canonical.ts';
import { AiosError } from '../kernel/errors.ts';
import { isObject, type Json } from '../kernel/json.ts';
import { requireDepth } from '../kernel/json-depth.ts';
import type { Limits } from '../kernel/limits.ts';
import { registryError } from './schema-registry-errors.ts';
import { bundled, type ResolvedReference } from './schema-registry-references.ts';
import type { SentSchema, Which } from './schema-registry-shapes.ts';

/** Ids are integers of four bytes in the messages. */
const ID_MAX = 0x7fffffff;

/** A version as Confluent numbers it: from 1, in the order of coming. */
export interface NumberedVersion {
  readonly subject: string;
  readonly number: number;
  readonly id: number;
  readonly version: ContractVersion;
  readonly deletion: Deletion | undefined;
  /** Whether events that name no version are held to it. */
  readonly isNewest: boolean;
}

function isOf(which: Which, deletion: Deletion | undefined): boolean {
  if (deletion === undefined) return which !== 'only-deleted';
  return deletion === 'soft' && which !== 'live';
}

/** Contracts as subjects, versions and ids. */
export class RegistrySubjects {
  readonly #registry: ContractRegistry;
  readonly #limits: Pick<Limits, 'jsonDepthMax' | 'schemaReferencesMax'>;

  constructor(registry: ContractRegistry, limits: Pick<Limits, 'jsonDepthMax' | 'schemaReferencesMax'>) {
    this.#registry = registry;
    this.#limits = limits;
  }

  get deletions(): RegistryDeletions {
    return this.#registry.registryDeletions;
  }

  get modes(): RegistryModes {
    return this.#registry.registryModes;
  }

  /** @throws AiosError by Confluent's code 42205 where a subject is not to be changed, or '' where all that have no mode of their own are not */
  async requireWritable(subject: string): Promise<void> {
    if ((await this.modes.of(this.contractOf(subject))) === 'READWRITE') return;
    throw registryError(
      'notPermitted',
      `${subject === '' ? 'The registry' : `Subject '${subject}'`} is in read-only mode`,
    );
  }

  /** The contract of a subject: of its name, or of its name without the `-value` that serializers add to a topic. */
  contractOf(subject: string): string {
    const isKnown = this.#registry.list().some(({ name }) => name === subject);
    return isKnown ? subject : subject.replace(/-value$/, '');
  }

  /** Names of subjects that have such versions. */
  async list(which: Which): Promise<string[]> {
    const names = this.#registry.list().map(({ name }) => name);
    const deletions = await this.deletions.read();
    if (deletions.size === 0) return which === 'only-deleted' ? [] : names;
    const counts = Map.groupBy(await this.#registry.versionNames(), ({ name }) => name);
    return names.filter((name) => {
      const deleted = deletions.get(name);
      const isLive = (counts.get(name)?.length ?? 0) > (deleted?.size ?? 0);
      const hasSoft = [...(deleted?.values() ?? [])].includes('soft');
      if (which === 'live') return isLive;
      return which === 'deleted' ? isLive || hasSoft : !isLive && hasSoft;
    });
  }

  /** @throws AiosError `definition.not_found`, and by Confluent's code 40401 where all were deleted */
  async versions(subject: string, which: Which = 'live'): Promise<NumberedVersion[]> {
    const versions = (await this.#all(subject)).filter(({ deletion }) => isOf(which, deletion));
    if (versions.length > 0) return versions;
    throw registryError('subjectNotFound', `Subject '${subject}' not found.`);
  }

  async #all(subject: string): Promise<NumberedVersion[]> {
    const contract = this.contractOf(subject);
    const versions = (await this.#registry.versions(contract)).reverse();
    const ids = await this.#registry.schemaIds.of(
      versions.map(({ version }) => ({ name: contract, version })),
    );
    const deletions = (await this.deletions.read(contract)).get(contract);
    return versions.map((version, index) => ({
      ...{ subject: contract, number: index + 1, id: ids[index]!, version },
      deletion: deletions?.get(version.version),
      isNewest: index === versions.length - 1,
    }));
  }

  /**
   * @param wanted a number from 1, `latest` or `-1`
   * @throws AiosError `definition.not_found`, and by Confluent's codes 40401, 40402 and 42202
   */
  async version(subject: string, wanted: string, which: Which = 'live'): Promise<NumberedVersion> {
    if (!/^(latest|-1|[1-9]\d{0,9})$/.test(wanted))
      throw registryError(
        'invalidVersion',
        `The specified version '${wanted.slice(0, 40)}' is not a valid version id. Allowed values are from 1 on, and “latest”.`,
      );
    const versions = await this.versions(subject, which);
    const isLatest = wanted === 'latest' || wanted === '-1';
    const found = isLatest ? versions.at(-1) : versions.find(({ number }) => number === Number(wanted));
    if (found) return found;
    throw registryError('versionNotFound', `Version ${wanted} not found.`);
  }

  /** The newest version of a subject that has this very schema, whatever became of it; `undefined` when none has, or there is no such subject. */
  async versionOf(subject: string, schema: SchemaOf): Promise<NumberedVersion | undefined> {
    const contract = this.contractOf(subject);
    if (!this.#registry.list().some(({ name }) => name === contract)) return undefined;
    const wanted = canonicalize(sameSchema(schema));
    const versions = await this.#all(contract);
    const same = versions.filter(({ version }) => canonicalize(sameSchema(version.body)) === wanted);
    return same.findLast(({ deletion }) => deletion === undefined) ?? same.at(-1);
  }

  /** The same, where it is one of those. @throws AiosError by Confluent's codes 40401 and 40403 */
  async lookUp(subject: string, sent: SentSchema, which: Which): Promise<NumberedVersion> {
    const found = await this.versionOf(subject, await this.read(sent));
    if (found && isOf(which, found.deletion)) return found;
    await this.versions(subject, which); // no such subject, or no such schema of it
    throw registryError('schemaNotFound', 'Schema not found');
  }

  /** The versions that took something of this one's schema when they were registered, without those that were deleted. */
  async referring({ subject, version: { version } }: NumberedVersion): Promise<NumberedVersion[]> {
    const names = await this.#registry.referring({ name: subject, version });
    const found = await Promise.all(
      [...Map.groupBy(names, ({ name }) => name)].map(async ([name, same]) => {
        const wanted = new Set(same.map((each) => each.version));
        return (await this.#all(name)).filter((each) => wanted.has(each.version.version));
      }),
    );
    return found.flat().filter(({ deletion }) => deletion === undefined);
  }

  /** The version that events of a subject are held to, whose mode counts. @throws AiosError as `versions` */
  async inForce(subject: string): Promise<NumberedVersion> {
    await this.versions(subject);
    return (await this.#all(subject)).at(-1)!;
  }

  /** Who names the contract of a subject, as people call them. */
  usersOf(subject: string): string[] {
    return this.#registry.uses(this.contractOf(subject)).map(({ kind, name }) => `${kind} ${name}`);
  }

  /** @throws AiosError by Confluent's code 40403 */
  async byId(wanted: string): Promise<NumberedVersion> {
    const id = /^[1-9]\d{0,9}$/.test(wanted) ? Number(wanted) : 0;
    const named = id > 0 && id <= ID_MAX ? await this.#named(id) : undefined;
    const versions = named ? await this.#all(named.name) : [];
    // A message that was written with it is read after it was deleted, until that is for good.
    const found = versions.find((version) => version.id === id && version.deletion !== 'permanent');
    if (found) return found;
    throw registryError('schemaNotFound', `Schema ${wanted.slice(0, 40)} not found`);
  }

  /** The same, where it is one of those; nothing for one that was deleted. @throws AiosError by Confluent's code 40403 */
  async ofId(wanted: string, which: Which): Promise<NumberedVersion[]> {
    const version = await this.byId(wanted);
    return isOf(which, version.deletion) ? [version] : [];
  }

  /** A message may name a version whose number nobody has asked for here, as after a move: then all get theirs. */
  async #named(id: number): Promise<VersionName | undefined> {
    const { schemaIds } = this.#registry;
    const given = await schemaIds.find(id);
    if (given) return given;
    await schemaIds.of(await this.#registry.versionNames());
    return schemaIds.find(id);
  }

  /**
   * A schema as it comes, JSON in a text, with those that it refers to (`bundled`, `bundledAvro`).
   *
   * @throws AiosError by Confluent's code 42201, `request.too_deep`
   */
  async read({ schema: text, schemaType, references }: SentSchema): Promise<SchemaOf> {
    const type = schemaType ?? 'AVRO';
    if (type !== 'JSON' && type !== 'AVRO')
      throw registryError(
        'invalidSchema',
        `Schemas of type ${type.slice(0, 40)} are not kept here; send one with schemaType AVRO or JSON.`,
      );
    let schema: Json | undefined;
    try {
      schema = JSON.parse(text) as Json;
    } catch {
      schema = undefined;
    }
    if (schema !== undefined) requireDepth(schema, this.#limits.jsonDepthMax);
    if (type === 'AVRO') {
      if (schema === undefined) throw registryError('invalidSchema', 'The Avro schema is not JSON.');
      const referred = await this.#referred(references ?? [], type);
      const whole = bundledAvro(
        schema,
        referred.map(({ avro = null }) => avro),
      );
      return { ...readAvro(whole, schemaType), ...referencesOf(referred) };
    }
    if (!isObject(schema)) throw registryError('invalidSchema', 'The schema is not a JSON object.');
    const referred = await this.#referred(references ?? [], type);
    return { schema: bundled(schema, referred), ...referencesOf(referred) };
  }

  async #referred(
    references: NonNullable<SentSchema['references']>,
    type: 'AVRO' | 'JSON',
  ): Promise<ResolvedReference[]> {
    const { schemaReferencesMax } = this.#limits;
    if (references.length > schemaReferencesMax)
      throw registryError(
        'invalidSchema',
        `${references.length} references; at most ${schemaReferencesMax} (schemaReferencesMax).`,
      );
    const resolved: ResolvedReference[] = [];
    for (const { name, subject, version } of references) {
      try {
        const found = await this.version(subject ?? '', String(version));
        const { body, version: of } = found.version;
        if (typeOf(body) !== type)
          throw new AiosError('request.invalid', { detail: `It is of type ${typeOf(body)}.` });
        const { schema, avro } = body;
        resolved.push({ name, contract: found.subject, version: of, schema, avro });
      } catch (error) {
        const why = error instanceof AiosError ? ` ${error.message}` : '';
        throw registryError(
          'invalidSchema',
          `No schema reference found for subject "${subject}" and version ${version}.${why}`,
        );
      }
    }
    return resolved;
  }

  /** The newest body of a contract, or nothing. */
  newest(subject: string): ContractBody | undefined {
    return this.#registry.newest(this.contractOf(subject));
  }
}

/** What a contract says of what its schema was taken from. */
function referencesOf(referred: readonly ResolvedReference[]): Pick<SchemaOf, 'references'> {
  if (referred.length === 0) return {};
  return { references: referred.map(({ name, contract, version }) => ({ name, contract, version })) };
}

function readAvro(avro: Json, schemaType: string | undefined): SchemaOf {
  try {
    return avroContract(avro);
  } catch (error) {
    if (!(error instanceof AiosError) || error.code !== 'definition.invalid') throw error;
    const hint = schemaType ? '' : ' Without schemaType it is taken for one of Avro; JSON is the other.';
    throw registryError('invalidSchema', `${error.message}${hint}`);
  }
}

function typeOf({ avro }: SchemaOf): 'AVRO' | 'JSON' {
  return avro === undefined ? 'JSON' : 'AVRO';
}

/** The schema of a version as it was registered. */
export function schemaOf({ version: { body } }: NumberedVersion): Json {
  return body.avro ?? body.schema;
}

/** A version as Confluent's clients read it: without a type it is of Avro. */
export function versionToJson(version: NumberedVersion) {
  const { subject, number, id } = version;
  const schemaType = typeOf(version.version.body) === 'JSON' ? { schemaType: 'JSON' } : {};
  return { subject, version: number, id, ...schemaType, schema: JSON.stringify(schemaOf(version)) };
}
