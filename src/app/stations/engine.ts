import type { Contracts } from '../../contracts/contracts.ts';
import type { CloudEvent } from '../../kernel/cloudevent.ts';
import type { AuditLog } from '../../ledger/audit.ts';
import type { Lineage, LineagePin } from '../../ledger/lineage.ts';
import type { OpenLineageRelay } from '../../ledger/openlineage/relay.ts';
import type { Models } from '../../models/models.ts';
import type { Definition, Definitions } from '../../store/definitions.ts';
import { log as logger } from '../../telemetry/logger.ts';
import type { Catalog } from '../../workflow/catalog/primitive.ts';
import { WorkflowEngine } from '../../workflow/engine/engine.ts';
import { findIn } from '../../workflow/engine/flows.ts';
import { PostgresRunStore } from '../../workflow/engine/postgres-store.ts';
import { withDatasets } from './datasets.ts';
import type { Emit } from './emitting.ts';
import type { Ground } from './ground.ts';
import { endedRun } from './openlineage.ts';

interface EngineParts {
  definitions: Definitions;
  catalog: Catalog;
  contracts: Contracts;
  models: Models;
  auditLog: AuditLog;
  lineage: Lineage;
  openLineage: OpenLineageRelay;
  emit: Emit;
}

/** The engine over the stations; nothing runs yet. */
export function createEngine(ground: Ground, parts: EngineParts): WorkflowEngine {
  const { definitions, catalog, contracts, models, auditLog, lineage, openLineage, emit } = parts;
  const engine = new WorkflowEngine({
    store: new PostgresRunStore(ground.db, ground.commit, ground.limits.payloadInlineBytesMax),
    catalog,
    ...ground,
    findDefinition: findIn(definitions),
    emit,
    lineage: ({ event, pins: made, runId }, came, writes) => {
      const pins = pinsOf({ contracts, models }, event, made);
      writes.push(lineage.record({ runId, event, pins }));
      if (came.patch.result && openLineage.hasSinks)
        openLineage.runEnded(endedRun(came, pins, event, ground.clock.now()), writes);
    },
    audit: (entry) => auditLog.entry(entry),
    onError: (error, runId) => ground.troubles.tell({ what: 'A run was let go', of: runId }, error),
  });
  definitions.onChange((changed) => putFlows(engine, changed));
  return engine;
}

/** A flow that does not compile here must not stop a start: its runs wait for the release that can. */
function putFlows(engine: WorkflowEngine, changed: readonly Definition[]): void {
  for (const { body } of changed.filter(({ kind }) => kind === 'run-queue')) engine.putQueue(body);
  for (const definition of changed.filter(({ kind }) => kind === 'workflow')) {
    try {
      engine.put(definition);
    } catch (error) {
      logger.error(
        `The flow ${definition.name} was applied by another release and does not compile here`,
        error,
      );
    }
  }
}

/** What a run was made with: the contract of its event, what its steps used, and what the models were trained on. */
function pinsOf(
  { contracts, models }: { contracts: Contracts; models: Models },
  event: CloudEvent | undefined,
  pins: readonly LineagePin[],
): readonly LineagePin[] {
  return withDatasets(models, event ? [contractPin(contracts, event), ...pins] : pins);
}

function contractPin(contracts: Contracts, { type, dataversion }: CloudEvent) {
  return {
    kind: 'contract' as const,
    name: type,
    version: String(dataversion ?? contracts.newest(type) ?? 'none'),
  };
}
