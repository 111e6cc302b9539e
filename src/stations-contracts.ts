import { Contracts } from './contracts/contracts.ts';
import { ContractRegistry } from './contracts/registry.ts';
import type { Ground } from './stations.ts';
import type { Definitions } from './store/definitions.ts';

/** The contracts in force, and what is known of their versions. */
export function createContracts({ db }: Pick<Ground, 'db'>, definitions: Definitions) {
  return {
    contracts: new Contracts(definitions),
    contractRegistry: new ContractRegistry(db, definitions),
  };
}
