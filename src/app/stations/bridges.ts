import { guardedAddresses, namesHost } from '../../connectors/egress.ts';
import type { Outgoing } from '../../connectors/outgoing.ts';
import { SecretAudience } from '../../connectors/secret-hosts.ts';
import { redact } from '../../connectors/secrets.ts';
import { compileTemplate, type Variables } from '../../connectors/template.ts';
import type { Contracts } from '../../contracts/contracts.ts';
import { isQuarantined, type Quarantine } from '../../contracts/quarantine.ts';
import type { ContractRegistry } from '../../contracts/registry.ts';
import { bridgeKind } from '../../events/bridges/definition/bridge-kind.ts';
import { BRIDGE_PROTOCOLS } from '../../events/bridges/protocols/protocols.ts';
import { Bridges } from '../../events/bridges/running/bridges.ts';
import type { FilledText } from '../../events/bridges/running/bridges-dependencies.ts';
import type { EventConsumers } from '../../events/consumers.ts';
import type { EventLog } from '../../events/log.ts';
import type { AuditLog } from '../../ledger/audit.ts';
import type { Definitions } from '../../store/definitions.ts';
import type { Committer } from '../../store/group-commit.ts';
import type { Ground } from './ground.ts';
import { bridgeRegistries, contractSchema } from './registry.ts';

export interface BridgeSurroundings {
  log: EventLog;
  consumers: EventConsumers;
  definitions: Definitions;
  contracts: Contracts;
  contractRegistry: ContractRegistry;
  quarantine: Quarantine;
  auditLog: AuditLog;
  outgoing: Outgoing;
  variables: Variables;
}

const SOURCES = ['env', 'secrets'] as const;

/** The kind `bridge`, with every protocol that AIOS speaks. */
export const BRIDGE_KIND = bridgeKind({
  protocols: BRIDGE_PROTOCOLS,
  checkTemplate: (text) => void compileTemplate(text, SOURCES),
});

/**
 * A text of a bridge's settings with its variables and secrets, and what says of a host whether these may go there.
 *
 * @throws AiosError `connectors.variable_unset`
 */
export function filledText(text: string, variables: Variables): FilledText {
  const secrets: string[] = [];
  const audience = new SecretAudience();
  const filled = compileTemplate(text, SOURCES).resolve((source, name) => {
    const value = variables(source, name, audience.use);
    if (source === 'secrets' && value !== undefined) secrets.push(value);
    return value;
  });
  return { text: filled, secrets, check: (hostname, port) => audience.check({ hostname, port }) };
}

/** What runs bridges: through the guard of everything that leaves, with secrets by reference, held to the contracts. */
export function createBridges(
  {
    db,
    commit,
    clock,
    limits,
    troubles,
    takesRuns,
  }: Pick<Ground, 'db' | 'clock' | 'limits' | 'troubles' | 'takesRuns'> & { commit: Committer },
  surroundings: BridgeSurroundings,
): Bridges {
  const { log, consumers, definitions, contracts, quarantine, auditLog, outgoing, variables } = surroundings;
  return new Bridges({
    ...{ db, commit, clock, limits, log, consumers, definitions },
    protocols: BRIDGE_PROTOCOLS,
    takesPart: takesRuns,
    folders: (process.env.AIOS_BRIDGE_FOLDERS ?? '')
      .split(',')
      .map((folder) => folder.trim())
      .filter(Boolean),
    addresses: (host, port, allowPrivate) => {
      const isAllowed =
        outgoing.isAllowed(host, port) ||
        allowPrivate.some((name) => namesHost(name.toLowerCase(), host, port));
      return guardedAddresses(host, isAllowed, outgoing.resolve);
    },
    schemaRegistry: bridgeRegistries(surroundings.contractRegistry, outgoing, limits),
    contractSchema: (type) => {
      const contract = surroundings.contractRegistry.newest(type);
      return contract && contractSchema(contract);
    },
    fill: (text) => filledText(text, variables),
    redact,
    check: (event) => contracts.check(event),
    quarantine: (event, fault) => (isQuarantined(fault) ? quarantine.arrival(event, fault) : undefined),
    record: ({ action, name, by, ...more }) =>
      auditLog.entry({
        ...{
          kind: 'bridge',
          action,
          actor: by,
          object: `bridge:${name}`,
          at: clock.now(),
          payload: { name, ...more },
        },
      }),
    onError: (name, error) =>
      troubles.tell({ what: name ? `Bridge ${name}` : 'Bridges could not be looked at' }, error),
  });
}
