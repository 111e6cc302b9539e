import { type Clock, systemClock } from '../../kernel/clock.ts';
import type { AiosError } from '../../kernel/errors.ts';
import type { JsonObject } from '../../kernel/json.ts';
import { limitsFrom } from '../../kernel/limits.ts';
import type { EventSink, EventSource } from './event-source.ts';
import { messageReader, messageWriter } from './message-mapping.ts';
import type { BridgeContext, BridgeProtocol, MessageFormat, SinkContext, SourceContext } from './protocol.ts';

interface Options {
  readonly name?: string;
  readonly format?: MessageFormat;
  readonly start?: 'earliest' | 'latest';
  readonly events?: Readonly<Record<string, string>>;
  /** Takes what the bridge reports. */
  readonly reports?: AiosError[];
  readonly answered?: () => void;
  readonly clock?: Clock;
  readonly folders?: readonly string[];
}

const limits = limitsFrom();

const contextOf = (
  protocol: BridgeProtocol,
  { name, reports, answered = () => {}, folders = [], clock = systemClock }: Options,
): BridgeContext => ({
  name: name ?? `a-${protocol.name}-bridge`,
  clock,
  limits,
  egress: { addresses: async (address) => [{ address, family: 4 }], folders },
  answered,
  report: (error) => void reports?.push(error),
});

export function sourceContext(protocol: BridgeProtocol, options: Options = {}): SourceContext {
  const context = contextOf(protocol, options);
  const decode = messageReader({
    ...{ bridge: context.name, prefixes: protocol.attributePrefixes, events: options.events },
    ...{ limits, nowMs: () => systemClock.now() },
  });
  return { ...context, start: options.start ?? 'earliest', decode };
}

/** Its group is the bridge's name. */
export function sinkContext(protocol: BridgeProtocol, options: Options = {}): SinkContext {
  const context = contextOf(protocol, options);
  const encode = messageWriter(options.format ?? 'structured', protocol.attributePrefixes[0]!);
  return { ...context, group: context.name, encode };
}

/** A source of a protocol that needs no waiting to open, as the runner of bridges opens it, every address allowed. */
export function openSource(
  protocol: BridgeProtocol,
  settings: JsonObject,
  options: Options = {},
): EventSource {
  return protocol.source!.open(sourceContext(protocol, options), settings) as EventSource;
}

/** A sink of a protocol, likewise. */
export function openSink(protocol: BridgeProtocol, settings: JsonObject, options: Options = {}): EventSink {
  return protocol.sink!.open(sinkContext(protocol, options), settings) as EventSink;
}
