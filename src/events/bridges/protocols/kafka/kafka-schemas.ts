import type { LoggedEvent } from '../../../../kernel/cloudevent.ts';
import { AiosError } from '../../../../kernel/errors.ts';
import { exactJson } from '../../../../kernel/exact-integers.ts';
import type { JsonObject } from '../../../../kernel/json.ts';
import { WireReader } from '../../messages/wire-format.ts';
import { WireWriter } from '../../messages/wire-writing.ts';
import type { Delivered, EventSink, Handing } from '../../port/event-source.ts';
import type { BridgeContext, IncomingMessage, SinkContext, Unpacker } from '../../port/protocol.ts';
import type { RegistryAddress } from '../../port/schema-registry.ts';

/** The setting `schemas`: values are in the wire format of a schema registry. */
interface SchemaSettings {
  /** That of this installation when left out. */
  readonly registry?: RegistryAddress;
  /** `<topic>-value` when left out, as serializers name it. */
  readonly subject?: string;
  readonly readAs?: 'written' | 'latest';
  /** Of a sink: by what its subjects are called; `topic` when left out. */
  readonly subjectStrategy?: 'topic' | 'record' | 'topic-record';
  /** Of a sink: whether the schemas of contracts become versions there. */
  readonly register?: boolean;
}

interface Settings {
  readonly topic: string;
  readonly schemas?: SchemaSettings;
  /** How the keys of a source are written; `text` when left out. */
  readonly keys?: 'text' | 'json' | 'schema';
}

/** What reads the values and keys of a source; nothing where it takes them as they are. */
export function kafkaUnpacker(
  { schemaRegistry, limits }: Pick<BridgeContext, 'schemaRegistry' | 'limits'>,
  settings: JsonObject,
): Unpacker | undefined {
  const { topic, schemas, keys = 'text' } = settings as unknown as Settings;
  if (!schemas) return keys === 'json' ? async (messages) => messages.map(withJsonKey) : undefined;
  const registry = schemaRegistry(schemas.registry);
  const readAs = schemas.readAs === 'latest' ? subjectOf(topic, schemas) : undefined;
  const values = new WireReader({ registry, readAs, limits });
  if (keys === 'text') return (messages) => values.unpack(messages);
  if (keys === 'json') return async (messages) => (await values.unpack(messages)).map(withJsonKey);
  const ofKeys = new WireReader({ registry, limits });
  return async (messages) => ofKeys.unpackKeys(await values.unpack(messages));
}

function withJsonKey(message: IncomingMessage): IncomingMessage {
  const { key } = message;
  if (key === undefined) return message;
  try {
    return { ...message, unpackedKey: { json: exactJson(Buffer.from(key).toString('utf8')) } };
  } catch (error) {
    return { ...message, unpackedKey: { fault: `no JSON: ${(error as Error).message}` } };
  }
}

type Deliver = EventSink['deliver'];

/**
 * What a sink writes, by the newest schema of its subject or by its contract, which is registered: an event whose data is not a value of it is refused, as one that is too large. The values are all made before the first is sent.
 *
 * @param open makes of an encoder what delivers
 */
export function withValues(
  context: SinkContext,
  settings: JsonObject,
  open: (context: SinkContext) => EventSink,
) {
  const { topic, schemas } = settings as unknown as Settings;
  if (!schemas) return open(context);
  const { schemaRegistry, contractSchema, limits } = context;
  const writer = new WireWriter({
    ...{ contractSchema, limits, registry: schemaRegistry(schemas.registry) },
    subjectOf: (record) => subjectOf(topic, schemas, record),
    registers: schemas.register ?? false,
  });
  const values = new WeakMap<LoggedEvent['event'], Buffer>();
  const sink = open({
    ...context,
    // The content type would be that of the bytes behind the header: serializers write none.
    encode: (event) => ({ ...context.encode(event), value: values.get(event)!, contentType: undefined }),
  });
  const deliver: Deliver = async (events, handing) => {
    const types = [...new Set(events.map(({ event: { type } }) => type))];
    const writers = new Map<string, Awaited<ReturnType<typeof writer.writer>>>();
    for (const type of types) writers.set(type, await writer.writer(type));
    const refused: NonNullable<Delivered['refused']>[number][] = [];
    for (const one of events)
      try {
        values.set(one.event, writers.get(one.event.type)!(one.event.data));
      } catch (error) {
        if (!(error instanceof AiosError && error.code === 'bridges.value_unfit')) throw error;
        refused.push({ event: one, error });
      }
    if (refused.length === 0) return sink.deliver(events, handing);
    const { sending, undone } = before(events, refused, handing);
    const delivered = await sink.deliver(sending, handing);
    // What is refused behind what was not sent comes again with it, and is refused then.
    const failed = new Set(delivered.undone.map(({ partition }) => partition));
    const isLater = (one: LoggedEvent) => failed.has(one.partition) || undone.includes(one);
    const later = refused.flatMap(({ event }) => (isLater(event) && !undone.includes(event) ? [event] : []));
    return {
      undone: [...delivered.undone, ...undone, ...later],
      refused: [...(delivered.refused ?? []), ...refused.filter(({ event }) => !isLater(event))],
    };
  };
  return { ...sink, deliver };
}

/** What is sent of a batch with refused events: all others, or of each partition those before the first of them. */
function before(
  events: readonly LoggedEvent[],
  refused: readonly { readonly event: LoggedEvent }[],
  handing: Handing | undefined,
) {
  const unfit = new Set(refused.map(({ event }) => event));
  const ended = new Set<number>();
  const [sending, undone]: [LoggedEvent[], LoggedEvent[]] = [[], []];
  for (const one of events) {
    if (handing === 'strict' && ended.has(one.partition)) undone.push(one);
    else if (unfit.has(one)) ended.add(one.partition);
    else sending.push(one);
  }
  return { sending, undone };
}

/** As serializers call it, by their strategies of these names. */
function subjectOf(topic: string, { subject, subjectStrategy }: SchemaSettings, record = ''): string {
  if (subjectStrategy === 'record') return record;
  if (subjectStrategy === 'topic-record') return `${topic}-${record}`;
  return subject ?? `${topic}-value`;
}
