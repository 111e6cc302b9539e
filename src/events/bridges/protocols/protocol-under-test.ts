import type { Clock } from '../../../kernel/clock.ts';
import type { AiosError } from '../../../kernel/errors.ts';
import type { JsonObject } from '../../../kernel/json.ts';
import type { EventSink, EventSource } from '../port/event-source.ts';
import type { BridgeProtocol, MessageFormat, SinkContext, SourceContext } from '../port/protocol.ts';
import { bridgeContext } from './context-under-test.ts';

interface Options {
  readonly name?: string;
  readonly format?: MessageFormat;
  readonly start?: 'earliest' | 'latest';
  readonly events?: Record<string, string>;
  /** Takes what the bridge reports. */
  readonly reports?: AiosError[];
  readonly answered?: () => void;
  /** Messages of one batch at most. */
  readonly batchMax?: () => number;
  readonly checkPlace?: SinkContext['checkPlace'];
  readonly space?: string;
  readonly behind?: SourceContext['behind'];
  readonly clock?: Clock;
  /** Those that are allowed. */
  readonly folders?: readonly string[];
}

/** What a test gives a bridge of a protocol, with a name where it is of no matter. */
export function contextOf(protocol: BridgeProtocol, options: Options = {}): SourceContext & SinkContext {
  const { name = `a-${protocol.name}-bridge`, answered, clock, folders = [], ...more } = options;
  return {
    ...bridgeContext(name, protocol, { ...more, egress: { folders } }),
    ...(answered ? { answered } : {}),
    ...(clock ? { clock } : {}),
  };
}

/** A source of a protocol that needs no waiting to open. */
export function openSource(protocol: BridgeProtocol, settings: JsonObject, options?: Options): EventSource {
  return protocol.source!.open(contextOf(protocol, options), settings) as EventSource;
}

/** A sink of a protocol that needs no waiting to open. */
export function openSink(protocol: BridgeProtocol, settings: JsonObject, options?: Options): EventSink {
  return protocol.sink!.open(contextOf(protocol, options), settings) as EventSink;
}
