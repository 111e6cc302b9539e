import type { LoggedEvent } from '../../../../kernel/cloudevent.ts';
import { AiosError } from '../../../../kernel/errors.ts';
import type { JsonObject } from '../../../../kernel/json.ts';
import { WireReader, WireWriter } from '../../messages/wire-format.ts';
import type { Delivered, EventSink, Handing } from '../../port/event-source.ts';
import type { BridgeContext, SinkContext, Unpacker } from '../../port/protocol.ts';
import type { RegistryAddress } from '../../port/schema-registry.ts';

/** The setting `schemas`: values are in the wire format of a schema registry. */
interface SchemaSettings {
  /** That of this installation when left out. */
  readonly registry?: RegistryAddress;
  /** `<topic>-value` when left out, as serializers name it. */
  readonly subject?: string;
  readonly readAs?: 'written' | 'latest';
}

interface Settings {
  readonly topic: string;
  readonly schemas?: SchemaSettings;
}

/** What reads the values of a source; nothing where they are in no wire format. */
export function kafkaUnpacker(
  { schemaRegistry, limits }: Pick<BridgeContext, 'schemaRegistry' | 'limits'>,
  settings: JsonObject,
): Unpacker | undefined {
  const { topic, schemas } = settings as unknown as Settings;
  if (!schemas) return undefined;
  const registry = schemaRegistry(schemas.registry);
  const readAs = schemas.readAs === 'latest' ? subjectOf(topic, schemas) : undefined;
  const reader = new WireReader({ registry, readAs, limits });
  return (messages) => reader.unpack(messages);
}

type Deliver = EventSink['deliver'];

/**
 * What a sink writes, by the newest schema of its subject: an event whose data is no value of it is refused, as one that is too large. The values are all made before the first is sent.
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
  const { schemaRegistry, limits } = context;
  const writer = new WireWriter(schemaRegistry(schemas.registry), subjectOf(topic, schemas), limits);
  const values = new WeakMap<LoggedEvent['event'], Buffer>();
  const sink = open({
    ...context,
    // The content type would be that of the bytes behind the header: serializers write none.
    encode: (event) => ({ ...context.encode(event), value: values.get(event)!, contentType: undefined }),
  });
  const deliver: Deliver = async (events, handing) => {
    const write = await writer.writer();
    const refused: NonNullable<Delivered['refused']>[number][] = [];
    for (const one of events)
      try {
        values.set(one.event, write(one.event.data));
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

function subjectOf(topic: string, { subject }: SchemaSettings): string {
  return subject ?? `${topic}-value`;
}
