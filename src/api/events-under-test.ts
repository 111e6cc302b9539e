import { randomBytes } from 'node:crypto';
import { createBridges } from '../app/stations/bridges.ts';
import { Outgoing } from '../connectors/outgoing.ts';
import { connectorVariables } from '../connectors/secrets.ts';
import type { Contracts } from '../contracts/contracts.ts';
import type { Quarantine } from '../contracts/quarantine.ts';
import type { ContractRegistry } from '../contracts/registry.ts';
import type { EventConsumers } from '../events/consumers.ts';
import type { EventLog } from '../events/log.ts';
import { Replays } from '../events/replay/replays.ts';
import { Retention } from '../events/retention/retention.ts';
import { Webhooks } from '../events/webhooks/webhooks.ts';
import { systemClock } from '../kernel/clock.ts';
import type { Limits } from '../kernel/limits.ts';
import type { AuditLog } from '../ledger/audit.ts';
import type { Database } from '../store/database.ts';
import type { Definitions } from '../store/definitions.ts';
import type { Committer } from '../store/group-commit.ts';
import { Troubles } from '../telemetry/troubles.ts';
import type { WorkflowEngine } from '../workflow/engine/engine.ts';

interface Modules {
  db: Database;
  log: EventLog;
  consumers: EventConsumers;
  limits: Limits;
  engine: WorkflowEngine;
  auditLog: AuditLog;
  commit: Committer;
  definitions: Definitions;
  contracts: Contracts;
  contractRegistry: ContractRegistry;
  quarantine: Quarantine;
}

/** What gives events out, as `app/stations/events.ts` puts it together. */
export function eventOutletsUnderTest({ engine, auditLog, ...modules }: Modules) {
  const replays = new Replays({
    ...modules,
    clock: systemClock,
    takesPart: true,
    workflows: {
      require: (workflow) => void engine.isQueued(workflow),
      room: () => engine.room(),
      definitions: modules.definitions,
      start: (events, tx, options) => engine.startFromEvents(events, tx, options),
    },
    onError: () => {},
  });
  const retention = new Retention({
    ...modules,
    clock: systemClock,
    unread: 'keep',
    record: () => {
      throw new Error('these tests drop nothing');
    },
    onError: () => {},
  });
  const webhooks = new Webhooks({
    ...modules,
    clock: systemClock,
    takesPart: true,
    key: randomBytes(32),
    send: async ({ url, headers, body, signal }) =>
      (await fetch(url, { method: 'POST', headers, body, signal })).status,
    record: ({ action, id, by, payload }) =>
      auditLog.entry({
        kind: 'webhook',
        action,
        actor: by ?? { kind: 'system', id: 'aios' },
        object: `webhook:${id}`,
        at: Date.now(),
        payload,
      }),
    onError: () => {},
  });
  const outgoing = new Outgoing({ limits: modules.limits, allowPrivate: [] });
  const bridges = createBridges(
    { ...modules, clock: systemClock, troubles: new Troubles(modules.limits), takesRuns: true },
    { ...modules, auditLog, outgoing, variables: connectorVariables({ env: {} }) },
  );
  return {
    /** What the routes need. */
    given: { replays, retention, webhooks, bridges },
    async start() {
      await webhooks.start();
      await bridges.start();
      await replays.start();
      await retention.start();
    },
    async stop() {
      await retention.stop();
      await replays.stop();
      await bridges.stop();
      await webhooks.stop();
      await outgoing.close();
    },
  };
}
