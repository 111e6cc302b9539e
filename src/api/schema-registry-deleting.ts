import type { Deletion } from '../contracts/registry-deletions.ts';
import type { EventLog } from '../events/log.ts';
import type { DefaultCompatibilityPort as Recording } from './default-compatibility.ts';
import { untilFirst } from './overtaken.ts';
import { actorOf, type Caller } from './routes.ts';
import { registryError } from './schema-registry-errors.ts';
import type { NumberedVersion, RegistrySubjects } from './schema-registry-subjects.ts';

export interface RegistryDeleterDependencies extends Pick<Recording, 'commit' | 'clock' | 'auditLog'> {
  log: Pick<EventLog, 'search'>;
}

/** Deletes versions as clients of a schema registry do: softly first, then for good. Contracts stay as they are. */
export class RegistryDeleter {
  readonly #subjects: RegistrySubjects;
  readonly #dependencies: RegistryDeleterDependencies;

  constructor(subjects: RegistrySubjects, dependencies: RegistryDeleterDependencies) {
    this.#subjects = subjects;
    this.#dependencies = dependencies;
  }

  /**
   * @returns the numbers of the versions that were deleted
   * @throws AiosError by Confluent's codes 40401, 40404, 40405, 42205, 42206
   */
  subject(subject: string, isPermanent: boolean, caller: Caller): Promise<number[]> {
    return untilFirst(async () => {
      const versions = await this.#subjects.versions(subject, 'deleted');
      const live = versions.filter(({ deletion }) => deletion === undefined);
      if (isPermanent && live.length > 0)
        throw registryError(
          'subjectNotSoftDeleted',
          `Subject '${subject}' was not deleted first before being permanently deleted`,
        );
      if (!isPermanent && live.length === 0)
        throw registryError(
          'subjectSoftDeleted',
          `Subject '${subject}' was soft deleted. Set permanent=true to delete permanently`,
        );
      return this.#delete(isPermanent ? versions : live, isPermanent ? 'permanent' : 'soft', caller);
    });
  }

  /**
   * @param wanted a number from 1, `latest` or `-1`
   * @throws AiosError by Confluent's codes 40401, 40402, 40406, 40407, 42202, 42205, 42206
   */
  version(subject: string, wanted: string, isPermanent: boolean, caller: Caller): Promise<number> {
    return untilFirst(async () => {
      const isLatest = !isPermanent && /^(latest|-1)$/.test(wanted);
      const version = await this.#subjects.version(subject, wanted, isLatest ? 'live' : 'deleted');
      const { number, deletion } = version;
      if (isPermanent && deletion === undefined)
        throw registryError(
          'versionNotSoftDeleted',
          `Subject '${subject}' Version ${number} was not deleted first before being permanently deleted`,
        );
      if (!isPermanent && deletion === 'soft')
        throw registryError(
          'versionSoftDeleted',
          `Subject '${subject}' Version ${number} was soft deleted. Set permanent=true to delete permanently`,
        );
      await this.#delete([version], isPermanent ? 'permanent' : 'soft', caller);
      return number;
    });
  }

  async #delete(versions: readonly NumberedVersion[], wanted: Deletion, caller: Caller): Promise<number[]> {
    await this.#subjects.requireWritable(versions[0]!.subject);
    for (const version of versions) await this.#requireUnreferred(version, versions);
    if (wanted === 'soft') for (const version of versions) await this.#requireUnused(version);
    await this.#change(versions, wanted, caller);
    return versions.map(({ number }) => number);
  }

  /** Lists versions again that were deleted, as registering one does. */
  async bringBack(version: NumberedVersion, caller: Caller): Promise<void> {
    await this.#change([version], undefined, caller);
  }

  async #change(
    versions: readonly NumberedVersion[],
    wanted: Deletion | undefined,
    caller: Caller,
  ): Promise<void> {
    const { commit, clock, auditLog } = this.#dependencies;
    const { subject: name } = versions[0]!;
    await commit.commit([
      ...versions.map(({ version: { version }, deletion: before }) =>
        this.#subjects.deletions.change({ name, version, before, wanted }),
      ),
      auditLog.entry({
        kind: 'contract',
        action: wanted ? 'deleted-in-registry' : 'restored-in-registry',
        actor: actorOf(caller),
        object: `contract:${name}`,
        at: clock.now(),
        payload: {
          name,
          versions: versions.map(({ version: { version } }) => version),
          ...(wanted && { isPermanent: wanted === 'permanent' }),
        },
      }),
    ]);
  }

  /** Clients count on what a schema refers to being there. Those that go with it do not. */
  async #requireUnreferred(version: NumberedVersion, going: readonly NumberedVersion[]): Promise<void> {
    const referring = (await this.#subjects.referring(version)).filter(
      ({ id }) => !going.some((each) => each.id === id),
    );
    if (referring.length === 0) return;
    const { subject, number } = version;
    const from = referring.map((each) => `version ${each.number} of ${each.subject}`).join(', ');
    throw registryError(
      'referenceExists',
      `One or more references exist to the schema {subject=${subject},version=${number}}: from ${from}.`,
    );
  }

  /** The version that events are held to is in force as long as anything sends or reads them, or the log has some. */
  async #requireUnused({ subject, number, version, isNewest }: NumberedVersion): Promise<void> {
    if (!isNewest) return;
    const users = this.#subjects.usersOf(subject);
    if (users.length === 0) {
      const { items } = await this.#dependencies.log.search({ type: subject, limit: 1 });
      if (items.length === 0) return;
      users.push('events in the log');
    }
    throw registryError(
      'referenceExists',
      `One or more references exist to the schema {subject=${subject},version=${number}}: ${version.version} of the contract is in force, for ${users.join(', ')}.`,
    );
  }
}
