import { type BatchObservableResult, metrics } from '@opentelemetry/api';
import type { BridgeView } from './bridge-view.ts';

const meter = metrics.getMeter('aios.bridges');

/*
 * Counters are of this process, since it began: sum them over the processes. Their names are those of OpenTelemetry's conventions for messaging where it has one, else what Kafka Connect
 * counts of its connectors.
 */
const consumed = meter.createCounter('messaging.client.consumed.messages', {
  description: 'Messages that sources of bridges took, those that were put aside among them',
  unit: '{message}',
});
const sent = meter.createCounter('messaging.client.sent.messages', {
  description: 'Messages that sinks of bridges handed over',
  unit: '{message}',
});
const deadLetters = meter.createCounter('aios.bridge.dead_letters', {
  description: 'Messages that a bridge made dead letters, by the code of what is wrong with them',
  unit: '{message}',
});
const errors = meter.createCounter('aios.bridge.errors', {
  description:
    'What went wrong with a bridge as a whole, by code: each try counts, and each gap that was noticed',
  unit: '{error}',
});
const retries = meter.createCounter('aios.bridge.retries', {
  description: 'Tries after one that failed',
  unit: '{attempt}',
});

/* Gauges are of each bridge, over all processes, and each process that takes part in bridges tells them: take the highest. */
const state = meter.createObservableGauge('aios.bridge.state', {
  description:
    '1 for the state that a bridge is in: running, failing, waiting (no process runs it), paused; 0 for the others',
});
const lastEvent = meter.createObservableGauge('aios.bridge.last_event.timestamp_seconds', {
  description: 'When a bridge last brought or sent an event, in seconds since the epoch',
  unit: 's',
});
const openLetters = meter.createObservableGauge('aios.bridge.dead_letters.open', {
  description: 'Dead letters of a bridge that nobody has dealt with',
  unit: '{message}',
});
const lag = meter.createObservableGauge('aios.bridge.lag', {
  description:
    'What a bridge has still to pass: a sink the events of the log, a source the messages there (files of a folder), where the other side says it',
  unit: '{message}',
});
const GAUGES = [state, lastEvent, openLetters, lag];

/** Well-known names of `messaging.system`, where they are not ours. */
const SYSTEMS: Readonly<Record<string, string>> = { amqp: 'rabbitmq' };
const STATES: readonly BridgeView['state'][] = ['running', 'failing', 'waiting', 'paused'];

/** What this process counts of a bridge. */
export interface BridgeCounters {
  /** Messages that a source took, whatever became of them. */
  consumed(count: number): void;
  /** Messages that a sink handed over; those of a batch whose commit is lost count twice. */
  sent(count: number): void;
  /** @param code of the error */
  deadLetter(code: string): void;
  /** @param code of the error */
  failed(code: string): void;
  /** Begun, after a try that failed. */
  retried(): void;
}

/** @example const counters = bridgeCounters('orders-in', 'kafka'); counters.consumed(500) */
export function bridgeCounters(bridge: string, protocol: string): BridgeCounters {
  const of = { bridge };
  const messaging = { ...of, 'messaging.system': SYSTEMS[protocol] ?? protocol };
  return {
    consumed: (count) => consumed.add(count, messaging),
    sent: (count) => sent.add(count, messaging),
    deadLetter: (code) => deadLetters.add(1, { ...of, 'error.type': code }),
    failed: (code) => errors.add(1, { ...of, 'error.type': code }),
    retried: () => retries.add(1, of),
  };
}

/** A bridge as it stands when metrics are collected. */
export interface ObservedBridge
  extends Pick<BridgeView, 'name' | 'direction' | 'protocol' | 'state' | 'movedAt'> {
  readonly openLetters: number;
  /** Nothing where it is not known here. */
  readonly lag?: number | undefined;
}

/**
 * Tells the gauges of bridges at each collection of metrics, until what it returns is called.
 *
 * @param read asked at each collection; where it fails nothing is told
 * @example const end = observeBridges(() => bridges.observed()); … end()
 */
export function observeBridges(read: () => Promise<readonly ObservedBridge[]>): () => void {
  const observe = async (result: BatchObservableResult) => {
    for (const one of await read().catch(() => [])) tell(result, one);
  };
  meter.addBatchObservableCallback(observe, GAUGES);
  return () => meter.removeBatchObservableCallback(observe, GAUGES);
}

function tell(result: BatchObservableResult, one: ObservedBridge): void {
  const bridge = one.name;
  for (const name of STATES)
    result.observe(state, one.state === name ? 1 : 0, {
      ...{ bridge, direction: one.direction, protocol: one.protocol, state: name },
    });
  if (one.movedAt !== null) result.observe(lastEvent, one.movedAt / 1000, { bridge });
  result.observe(openLetters, one.openLetters, { bridge });
  if (one.lag !== undefined) result.observe(lag, one.lag, { bridge, direction: one.direction });
}
