import { RegistrySubjects } from '../../api/schema-registry-subjects.ts';
import type { Outgoing } from '../../connectors/outgoing.ts';
import { RemoteRegistry } from '../../connectors/remote-registry.ts';
import type { ContractBody } from '../../contracts/contract-body.ts';
import type { ContractRegistry } from '../../contracts/registry.ts';
import type { BridgesDependencies } from '../../events/bridges/running/bridges-dependencies.ts';
import { AiosError } from '../../kernel/errors.ts';
import type { Limits } from '../../kernel/limits.ts';

type Registries = BridgesDependencies['schemaRegistry'];

/** The schema registries of bridges: the contracts of this installation as its own doors show them, or one at an address. */
export function bridgeRegistries(
  contractRegistry: ContractRegistry,
  outgoing: Outgoing,
  limits: Limits,
): Registries {
  const subjects = new RegistrySubjects(contractRegistry, limits);
  const own: ReturnType<Registries> = {
    byId: (id) => found(async () => toRegistered(await subjects.byId(String(id)))),
    latest: (subject) => found(async () => toRegistered(await subjects.version(subject, 'latest'))),
    async register(subject) {
      throw new AiosError('bridges.schema_refused', {
        detail: `${subject}: the contracts of this installation are its schemas; they are applied, not registered.`,
      });
    },
  };
  return (address, allowPrivate) =>
    address ? new RemoteRegistry(address, outgoing.allowing(allowPrivate)) : own;
}

/** The schema of a contract, as a serializer has it. */
export function contractSchema({ avro, schema }: Pick<ContractBody, 'avro' | 'schema'>) {
  return avro === undefined ? { type: 'JSON', schema } : { type: 'AVRO', schema: avro };
}

function toRegistered({ id, version: { body } }: Awaited<ReturnType<RegistrySubjects['byId']>>) {
  return { id, ...contractSchema(body) };
}

/** Nothing where there is no such contract, version or id. */
async function found<Value>(ask: () => Promise<Value>): Promise<Value | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof AiosError)) throw error;
    if (error.code === 'definition.not_found' || String(error.extensions.errorCode).startsWith('404'))
      return undefined;
    throw error;
  }
}
