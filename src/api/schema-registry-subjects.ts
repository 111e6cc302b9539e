import type { ContractBody } from '../contracts/contract-kind.ts';
import type { ContractRegistry, ContractVersion } from '../contracts/registry.ts';
import type { VersionName } from '../contracts/schema-ids.ts';
import { canonicalize } from '../kernel/canonical.ts';
import { isObject, type Json, type JsonObject } from '../kernel/json.ts';
import { requireDepth } from '../kernel/json-depth.ts';
import type { Limits } from '../kernel/limits.ts';
import { registryError } from './schema-registry-errors.ts';

/** Ids are integers of four bytes in the messages. */
const ID_MAX = 0x7fffffff;

/** A version as Confluent numbers it: from 1, in the order of coming. */
export interface NumberedVersion {
  readonly subject: string;
  readonly number: number;
  readonly id: number;
  readonly version: ContractVersion;
}

/** Contracts as subjects, versions and ids. */
export class RegistrySubjects {
  readonly #registry: ContractRegistry;
  readonly #limits: Pick<Limits, 'jsonDepthMax'>;

  constructor(registry: ContractRegistry, limits: Pick<Limits, 'jsonDepthMax'>) {
    this.#registry = registry;
    this.#limits = limits;
  }

  /** The contract of a subject: of its name, or of its name without the `-value` that serializers add to a topic. */
  contractOf(subject: string): string {
    const isKnown = this.#registry.list().some(({ name }) => name === subject);
    return isKnown ? subject : subject.replace(/-value$/, '');
  }

  /** @throws AiosError `definition.not_found` */
  async versions(subject: string): Promise<NumberedVersion[]> {
    const contract = this.contractOf(subject);
    const versions = (await this.#registry.versions(contract)).reverse();
    const ids = await this.#registry.schemaIds.of(
      versions.map(({ version }) => ({ name: contract, version })),
    );
    return versions.map((version, index) => ({
      subject: contract,
      number: index + 1,
      id: ids[index]!,
      version,
    }));
  }

  /**
   * @param wanted a number from 1, `latest` or `-1`
   * @throws AiosError `definition.not_found`, and by Confluent's codes 40402 and 42202
   */
  async version(subject: string, wanted: string): Promise<NumberedVersion> {
    if (!/^(latest|-1|[1-9]\d{0,9})$/.test(wanted))
      throw registryError(
        'invalidVersion',
        `The specified version '${wanted.slice(0, 40)}' is not a valid version id. Allowed values are from 1 on, and “latest”.`,
      );
    const versions = await this.versions(subject);
    const found = wanted === 'latest' || wanted === '-1' ? versions.at(-1) : versions[Number(wanted) - 1];
    if (found) return found;
    throw registryError('versionNotFound', `Version ${wanted} not found.`);
  }

  /** The newest version of a subject that has this very schema; `undefined` when none has, or there is no such subject. */
  async versionOf(subject: string, schema: JsonObject): Promise<NumberedVersion | undefined> {
    const contract = this.contractOf(subject);
    if (!this.#registry.list().some(({ name }) => name === contract)) return undefined;
    const wanted = canonicalize(schema);
    const versions = await this.versions(contract);
    return versions.findLast(({ version }) => canonicalize(version.body.schema) === wanted);
  }

  /** @throws AiosError by Confluent's code 40403 */
  async byId(wanted: string): Promise<NumberedVersion> {
    const id = /^[1-9]\d{0,9}$/.test(wanted) ? Number(wanted) : 0;
    const named = id > 0 && id <= ID_MAX ? await this.#named(id) : undefined;
    const versions = named ? await this.versions(named.name) : [];
    const found = versions.find((version) => version.id === id);
    if (found) return found;
    throw registryError('schemaNotFound', `Schema ${wanted.slice(0, 40)} not found`);
  }

  /** A message may name a version whose number nobody has asked for here, as after a move: then all get theirs. */
  async #named(id: number): Promise<VersionName | undefined> {
    const { schemaIds } = this.#registry;
    const given = await schemaIds.find(id);
    if (given) return given;
    await schemaIds.of(await this.#registry.versionNames());
    return schemaIds.find(id);
  }

  /** A schema as it comes: JSON in a text. @throws AiosError by Confluent's code 42201, `request.too_deep` */
  read(text: string): JsonObject {
    let schema: Json | undefined;
    try {
      schema = JSON.parse(text) as Json;
    } catch {
      schema = undefined;
    }
    if (!isObject(schema)) throw registryError('invalidSchema', 'The schema is no JSON object.');
    requireDepth(schema, this.#limits.jsonDepthMax);
    return schema;
  }

  /** The newest body of a contract, or nothing. */
  newest(subject: string): ContractBody | undefined {
    const contract = this.contractOf(subject);
    return this.#registry.list().find(({ name }) => name === contract)?.body;
  }
}

/** A version as Confluent's clients read it. */
export function versionToJson({ subject, number, id, version }: NumberedVersion) {
  return { subject, version: number, id, schemaType: 'JSON', schema: JSON.stringify(version.body.schema) };
}
