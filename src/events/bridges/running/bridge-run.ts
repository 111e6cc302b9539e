import { setTimeout as sleep } from 'node:timers/promises';
import { AiosError } from '../../../kernel/errors.ts';
import type { JsonObject } from '../../../kernel/json.ts';
import { compileSchema } from '../../../kernel/schema.ts';
import { compileSelection } from '../../selection.ts';
import { type BridgeDefinition, formatOf, protocolOf } from '../definition/bridge-kind.ts';
import { messageWriter } from '../messages/message-mapping.ts';
import type { BridgeContext } from '../port/protocol.ts';
import { bridgeOpening } from './bridge-context.ts';
import type { BridgeCounters } from './bridge-metrics.ts';
import { countSent } from './bridge-store.ts';
import { bridgeGroup } from './bridge-view.ts';
import type { BridgesDependencies } from './bridges-dependencies.ts';
import { putAside, readerOf } from './letters.ts';
import { bridgeConsumer } from './sink-consumer.ts';
import { Pace, SourceRunner } from './source-runner.ts';
import { isStopped, Tolerance } from './tolerance.ts';

export interface RunningBridge {
  /** The batch that is under way is finished. */
  stop(): Promise<void>;
}

interface Surroundings extends BridgesDependencies {
  counters: BridgeCounters;
  /** How many messages the other side has that a source has not read. */
  behind(messages: number): void;
  told(error: AiosError, secrets: readonly string[]): void;
  noticed(error: AiosError, secrets: readonly string[]): void;
  /** The other side answers. */
  answered(): void;
}

/**
 * Begins to run a bridge in this process.
 *
 * @throws AiosError `connectors.variable_unset`, or what the protocol has against its settings
 */
export async function openBridge(
  definition: BridgeDefinition,
  surroundings: Surroundings,
): Promise<RunningBridge> {
  const { told, noticed, answered } = surroundings;
  let isStanding = false;
  const { settings, context, secrets } = await bridgeOpening(definition, surroundings, {
    report: noticed,
    // That the broker answers mends nothing where the bridge stands at a message; the next commit does.
    answered: () => isStanding || answered(),
  });
  const open = definition.from ? openSource : openSink;
  return open(definition, settings, context, surroundings, (error) => {
    isStanding = isStopped(error);
    told(error, secrets);
  });
}

async function openSource(
  definition: BridgeDefinition,
  settings: JsonObject,
  context: BridgeContext,
  surroundings: Surroundings,
  told: (error: AiosError) => void,
): Promise<RunningBridge> {
  const { protocol } = protocolOf(definition, surroundings.protocols);
  const decode = readerOf(definition, surroundings);
  const start = definition.start ?? 'earliest';
  const pace = new Pace();
  const batchMax = () => pace.batchMax();
  const { behind } = surroundings;
  const issuesOf = protocol.source!.position && compileSchema(protocol.source!.position);
  const source = await protocol.source!.open({ ...context, start, decode, batchMax, behind }, settings);
  const runner = new SourceRunner(source, {
    ...surroundings,
    pace,
    isPlace: (position) => !issuesOf || issuesOf(position).length === 0,
    tolerance: new Tolerance(definition, surroundings),
    reject: (name, event, error) => putAside(name, event, error, surroundings),
    onError: (_name, error) => told(error),
  });
  runner.start();
  return runner;
}

async function openSink(
  definition: BridgeDefinition,
  settings: JsonObject,
  context: BridgeContext,
  { protocols, limits, consumers, db, log, counters, contractSchema }: Surroundings,
  told: (error: AiosError) => void,
): Promise<RunningBridge> {
  const { name, types, filter, start = 'latest' } = definition;
  const { protocol } = protocolOf(definition, protocols);
  const group = bridgeGroup(name);
  const encode = messageWriter(formatOf(definition.format), protocol.attributePrefixes[0]!);
  const sink = await protocol.sink!.open(
    {
      ...{ ...context, group, encode, contractSchema },
      async checkPlace(partition, offset) {
        const head = (await log.head())[partition]!;
        if (offset < head) return;
        const detail = `The other side has ${offset} of partition ${partition}; the log ends before ${head}.`;
        throw new AiosError('bridges.place_ahead', { detail });
      },
    },
    settings,
  );
  await consumers.addRunning(
    bridgeConsumer(sink, {
      types,
      start,
      isSelected: compileSelection({ filter }),
      batchMax: limits.bridgeBatchMax,
      batchBytesMax: limits.bridgeBatchBytesMax,
      answerMs: limits.bridgeAnswerMs,
      tolerance: new Tolerance(definition, { db, limits }),
      counters,
      count: (tx, sent, isStanding) => countSent(tx, name, sent, isStanding),
      onError: told,
    }),
  );
  return {
    async stop() {
      const removed = consumers.remove(group);
      const isLate = sleep(limits.bridgeStopMs, true, { ref: false });
      // What the broker does not answer comes again.
      if (await Promise.race([removed, isLate])) await sink.close?.();
      await removed;
      await sink.close?.();
    },
  };
}
