import { systemClock } from '../../kernel/clock.ts';
import type { AiosError } from '../../kernel/errors.ts';
import type { JsonObject } from '../../kernel/json.ts';
import { limitsFrom } from '../../kernel/limits.ts';
import type { EventSink, EventSource } from './event-source.ts';
import { messageReader, messageWriter } from './message-mapping.ts';
import type { BridgeContext, BridgeProtocol, MessageFormat } from './protocol.ts';

interface Options {
  readonly name?: string;
  readonly format?: MessageFormat;
  readonly start?: 'earliest' | 'latest';
  readonly events?: Readonly<Record<string, string>>;
  /** Takes what the bridge reports. */
  readonly reports?: AiosError[];
  readonly answered?: () => void;
  readonly folders?: readonly string[];
}

const limits = limitsFrom();

const contextOf = (
  protocol: BridgeProtocol,
  { name, reports, answered = () => {}, folders = [] }: Options,
): BridgeContext => ({
  name: name ?? `a-${protocol.name}-bridge`,
  clock: systemClock,
  limits,
  egress: { addresses: async (address) => [{ address, family: 4 }], folders },
  answered,
  report: (error) => void reports?.push(error),
});

/** A source of a protocol that needs no waiting to open, as the runner of bridges opens it, every address allowed. */
export function openSource(
  protocol: BridgeProtocol,
  settings: JsonObject,
  options: Options = {},
): EventSource {
  const context = contextOf(protocol, options);
  const decode = messageReader({
    ...{ bridge: context.name, prefixes: protocol.attributePrefixes, events: options.events },
    ...{ limits, nowMs: () => systemClock.now() },
  });
  return protocol.source!.open(
    { ...context, start: options.start ?? 'earliest', decode },
    settings,
  ) as EventSource;
}

/** A sink of a protocol as the runner of bridges opens it; its group is the bridge's name. */
export function openSink(protocol: BridgeProtocol, settings: JsonObject, options: Options = {}): EventSink {
  const context = contextOf(protocol, options);
  const encode = messageWriter(options.format ?? 'structured', protocol.attributePrefixes[0]!);
  return protocol.sink!.open({ ...context, group: context.name, encode }, settings) as EventSink;
}
