import { hash } from 'node:crypto';
import type { ContractBody } from '../contracts/contract-kind.ts';
import type { ContractRegistry, ContractVersion } from '../contracts/registry.ts';
import { canonicalize } from '../kernel/canonical.ts';
import { isObject, type Json, type JsonObject } from '../kernel/json.ts';
import { requireDepth } from '../kernel/json-depth.ts';
import type { Limits } from '../kernel/limits.ts';
import { registryError } from './schema-registry-errors.ts';

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
  /** The contract of each id that was looked for: neither ever changes. */
  readonly #byId = new Map<number, string>();

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
    return versions.map((version, index) => ({
      subject: contract,
      number: index + 1,
      id: idOf(contract, version.version),
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
    if (id > 0 && !this.#byId.has(id))
      for (const { name, version } of await this.#registry.versionNames())
        this.#byId.set(idOf(name, version), name);
    const contract = this.#byId.get(id);
    const versions = contract === undefined ? [] : await this.versions(contract);
    const found = versions.find((version) => version.id === id);
    if (found) return found;
    throw registryError('schemaNotFound', `Schema ${wanted.slice(0, 40)} not found`);
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

/** 31 bits over subject and version: the same in every installation, so that what a serializer wrote is read after a move. */
function idOf(subject: string, version: string): number {
  return Number.parseInt(hash('sha256', `${subject}\0${version}`, 'hex').slice(0, 8), 16) & 0x7fffffff || 1;
}

/** A version as Confluent's clients read it. */
export function versionToJson({ subject, number, id, version }: NumberedVersion) {
  return { subject, version: number, id, schemaType: 'JSON', schema: JSON.stringify(version.body.schema) };
}
