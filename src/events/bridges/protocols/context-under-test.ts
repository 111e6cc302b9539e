import { isDeepStrictEqual } from 'node:util';
import { systemClock } from '../../../kernel/clock.ts';
import type { AiosError } from '../../../kernel/errors.ts';
import { limitsFrom } from '../../../kernel/limits.ts';
import { messageReader, messageWriter } from '../messages/message-mapping.ts';
import type { BridgeProtocol, MessageFormat, SinkContext, SourceContext } from '../port/protocol.ts';
import type { RegisteredSchema, SchemaRegistry, ValueSchema } from '../port/schema-registry.ts';

/** What the tests of a protocol give its bridges; addresses are taken as they are. */
export function bridgeContext(
  name: string,
  { attributePrefixes }: BridgeProtocol,
  more: {
    format?: MessageFormat;
    events?: Record<string, string>;
    start?: 'earliest' | 'latest';
    reports?: AiosError[];
    batchMax?: () => number;
    checkPlace?: SinkContext['checkPlace'];
    space?: string;
    egress?: Partial<SourceContext['egress']>;
    behind?: SourceContext['behind'];
    /** What the registry has, by subject. */
    schemas?: Map<string, RegisteredSchema>;
    /** Of contracts, by type. */
    contracts?: ReadonlyMap<string, ValueSchema>;
    /** What the registry throws when it is asked. */
    registryFault?: () => AiosError | undefined;
  } = {},
): SourceContext & SinkContext {
  const limits = limitsFrom();
  const {
    format = 'structured',
    events,
    start = 'earliest',
    reports = [],
    batchMax = () => Number.POSITIVE_INFINITY,
    checkPlace = async () => {},
    space = 'of-the-test',
    egress,
    behind = () => {},
    schemas = new Map<string, RegisteredSchema>(),
    contracts = new Map<string, ValueSchema>(),
    registryFault,
  } = more;
  return {
    ...{
      name,
      group: `bridge:${name}`,
      space,
      clock: systemClock,
      limits,
      start,
      batchMax,
      behind,
      checkPlace,
    },
    egress: { addresses: async (host) => [{ address: host, family: 4 }], folders: [], ...egress },
    schemaRegistry: () => registryOf(schemas, registryFault),
    contractSchema: (type) => contracts.get(type),
    report: (error) => void reports.push(error),
    answered: () => {},
    decode: messageReader({ bridge: name, prefixes: attributePrefixes, events, limits, nowMs: Date.now }),
    encode: messageWriter(format, attributePrefixes[0]!),
  };
}

/** A schema registry in memory. */
function registryOf(
  schemas: Map<string, RegisteredSchema>,
  registryFault: (() => AiosError | undefined) | undefined,
): SchemaRegistry {
  const asked = async (find: (one: [string, RegisteredSchema]) => boolean) => {
    const fault = registryFault?.();
    if (fault) throw fault;
    return [...schemas].find(find)?.[1];
  };
  return {
    byId: (id) => asked(([, one]) => one.id === id),
    latest: (subject) => asked(([name]) => name === subject),
    async register(subject, schema) {
      const isKnown = ([name, one]: [string, RegisteredSchema]) =>
        name === subject && isDeepStrictEqual(one.schema, schema.schema);
      const id = (await asked(isKnown))?.id ?? schemas.size + 1;
      schemas.set(subject, { id, ...schema });
      return id;
    },
  };
}
