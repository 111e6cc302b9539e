import type { SchemaOf } from '../contracts/avro-contract.ts';
import type { CompatibilityMode } from '../contracts/compatibility.ts';
import type { ContractBody } from '../contracts/contract-body.ts';
import type { ContractRegistry } from '../contracts/registry.ts';
import { AiosError } from '../kernel/errors.ts';
import { untilFirst } from './overtaken.ts';
import { type AccessPort, type Caller, requirePermission } from './routes.ts';
import type { ApplyProject } from './routes-definitions.ts';
import type { RegistryDeleter } from './schema-registry-deleting.ts';
import { registryError } from './schema-registry-errors.ts';
import type { NumberedVersion, RegistrySubjects } from './schema-registry-subjects.ts';

export interface RegistryWriterDependencies {
  contractRegistry: ContractRegistry;
  access: Pick<AccessPort, 'can'>;
  apply: ApplyProject;
  deleter: Pick<RegistryDeleter, 'bringBack'>;
}

/** Changes contracts as clients of a schema registry ask for it: as if they were applied, with the same checks and audit entries. */
export class RegistryWriter {
  readonly #subjects: RegistrySubjects;
  readonly #dependencies: RegistryWriterDependencies;

  constructor(subjects: RegistrySubjects, dependencies: RegistryWriterDependencies) {
    this.#subjects = subjects;
    this.#dependencies = dependencies;
  }

  /**
   * The version of a subject that a schema is, made now where there is none: 1.0.0 of a new contract, which its caller owns, or the next
   * version by what changes. One that was deleted is there again, with its number and its id. Whoever may not change definitions gets what is there.
   *
   * @throws AiosError `access.forbidden`, `contracts.incompatible`, by Confluent's codes 42201 for what is no schema, 42205 in read-only mode
   */
  async register(subject: string, schema: SchemaOf, caller: Caller): Promise<NumberedVersion> {
    const known = await this.#subjects.versionOf(subject, schema);
    if (known && known.deletion === undefined) return known;
    requirePermission(this.#dependencies.access, caller, 'definitions.write');
    await this.#subjects.requireWritable(subject);
    if (known) return this.#bringBack(subject, schema, caller);
    const body = await this.#next(this.#subjects.contractOf(subject), schema, caller);
    try {
      await this.#apply(body, caller);
    } catch (error) {
      // Producers that begin together register the same schema: the first wins, and the others take what it made.
      const made = await this.#subjects.versionOf(subject, schema);
      if (made) return made;
      throw error;
    }
    const made = await this.#subjects.versionOf(subject, schema);
    if (made) return made;
    throw new AiosError('store.conflict', { detail: `${body.name} was changed again meanwhile.` });
  }

  #bringBack(subject: string, schema: SchemaOf, caller: Caller): Promise<NumberedVersion> {
    return untilFirst(async () => {
      const version = (await this.#subjects.versionOf(subject, schema))!;
      if (version.deletion !== undefined) await this.#dependencies.deleter.bringBack(version, caller);
      return version;
    });
  }

  /** Holds a contract to a mode of its own from now on, or to that of all when none is given. @throws AiosError `definition.not_found`, by Confluent's code 42205 */
  async setCompatibility(
    subject: string,
    compatibility: CompatibilityMode | undefined,
    caller: Caller,
  ): Promise<void> {
    const { compatibility: _, ...body } = (await this.#subjects.inForce(subject)).version.body;
    await this.#subjects.requireWritable(subject);
    await this.#apply({ ...body, ...(compatibility && { compatibility }) }, caller);
  }

  async #next(name: string, schema: SchemaOf, caller: Caller): Promise<ContractBody> {
    const newest = this.#subjects.newest(name);
    if (!newest) return { name, version: '1.0.0', owner: caller.name, ...schema };
    const assessed = await this.#dependencies.contractRegistry.assess(name, schema);
    if (!assessed.isCompatible) {
      const findings = assessed.findings.map(
        ({ path, code, message }) => `${path || '/'}: ${message} (${code})`,
      );
      throw new AiosError('contracts.incompatible', {
        detail: `Schema being registered is incompatible with an earlier schema for subject "${name}", in the mode ${assessed.mode}: ${findings.join('; ')}.`,
      });
    }
    const { avro: _, references: __, ...kept } = newest;
    return { ...kept, version: assessed.suggestedVersion, ...schema };
  }

  async #apply(body: ContractBody, caller: Caller): Promise<void> {
    const bytes = Buffer.from(JSON.stringify(body, null, 2));
    try {
      await this.#dependencies.apply([{ path: `contracts/${body.name}.json`, bytes }], caller, false);
    } catch (error) {
      if (error instanceof AiosError && error.code === 'definition.invalid')
        throw registryError('invalidSchema', error.message);
      throw error;
    }
  }
}
