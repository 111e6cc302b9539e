import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream';
import type { MsgHdrs, NatsConnection } from '@nats-io/transport-node';
import type { LoggedEvent } from '../../../../kernel/cloudevent.ts';
import { AiosError } from '../../../../kernel/errors.ts';
import type { EventSink } from '../../port/event-source.ts';
import type { OutgoingMessage, SinkContext } from '../../port/protocol.ts';
import { fittingOf, type Written } from '../fitting.ts';
import { connectNats, type NatsServers, natsError } from './connection.ts';

export interface NatsSinkSettings extends NatsServers {
  /** Events go to `subject.<partition>`, which one stream has to take. */
  readonly subject: string;
}

/** What the last message of a partition says. */
interface Last {
  /** Its number in the stream, 0 for none. */
  readonly sequence: number;
  /** The last offset of this database that was sent; -1 for none. */
  readonly offset: number;
  /** Of other databases with a bridge of this name, as they stand in its header. */
  readonly others: readonly string[];
}

interface Run {
  readonly partition: number;
  readonly events: readonly Written[];
}

const BRIDGE = 'Aios-Bridge';
const OFFSET = 'Aios-Offset';
/** The database whose offset it is. */
const SPACE = 'Aios-Space';
/** The last offsets of other databases, the newest first: `<space>:<offset>, …`. */
const OTHERS = 'Aios-Others';
/** A database that was thrown away stands there, too. */
const OTHERS_MAX = 16;
const PUBLISH_MS = 10_000;
/** Left for the headers of the bridge, which count. */
const HEADER_BYTES = 4096;
/** What JetStream answers when another message came first: `wrong last sequence` and `wrong last msg ID`. */
const OVERTAKEN = new Set([10071, 10070]);
/** Rounds without an event that gets through, because others write all the time, before it is an error. */
const ROUNDS_MAX = 20;

/**
 * Publishes the events of a partition to a subject of their own, each on condition that the one before it is the last (`Nats-Expected-Last-Subject-Sequence`, `Nats-Expected-Last-Msg-Id`). So
 * whatever comes again, from a crash or an older process, is told by the last message of the subject, however long ago that was. A stream that
 * keeps no messages (a work queue) tells by their ids, as far as its window of duplicates goes. Each message hands on what other databases with a bridge of this name have
 * sent, so that none takes the place of another for its own.
 *
 * @throws AiosError `bridges.unreachable`, `bridges.refused`
 */
export function natsSink(context: SinkContext, settings: NatsSinkSettings): EventSink {
  let opened: Promise<StreamWriter> | undefined;
  const close = async () => {
    const writer = opened;
    opened = undefined;
    await writer?.then((one) => one.close()).catch(() => {});
  };
  return {
    group: context.group,
    close,
    async deliver(events, handing) {
      opened ??= StreamWriter.open(context, settings);
      try {
        const writer = await opened;
        const { fitting, ...rest } = fittingOf(events, {
          encode: context.encode,
          isStrict: handing === 'strict',
          faultOf: (message) => writer.faultOf(message),
        });
        await (handing === 'again' ? writer.writeAgain(fitting) : writer.write(fitting));
        context.answered();
        return rest;
      } catch (error) {
        await close();
        throw natsError(error, settings.subject);
      }
    },
  };
}

interface Parts {
  readonly context: SinkContext;
  readonly subject: string;
  readonly connection: NatsConnection;
  readonly client: JetStreamClient;
  readonly manager: JetStreamManager;
  readonly stream: string;
  /** Whether a message stays when it was read, so that the last one tells what was sent. */
  readonly isKept: boolean;
  /** Bytes of a message with its headers. */
  readonly bytesMax: number;
  readonly headers: () => MsgHdrs;
}

class StreamWriter {
  readonly #parts: Parts;
  readonly #lasts = new Map<number, Last>();

  private constructor(parts: Parts) {
    this.#parts = parts;
  }

  static async open(context: SinkContext, settings: NatsSinkSettings): Promise<StreamWriter> {
    const { subject } = settings;
    const [{ jetstream, jetstreamManager }, { headers }] = await Promise.all([
      import('@nats-io/jetstream'),
      import('@nats-io/transport-node'),
    ]);
    const connection = await connectNats(settings, context);
    try {
      const [manager, client] = [await jetstreamManager(connection), jetstream(connection)];
      const [info] = await manager.streams.list(`${subject}.*`).next();
      if (!info)
        throw new AiosError('bridges.refused', {
          detail: `No stream takes ${subject}.*: add this subject to the one that is to have the events.`,
        });
      const { name: stream, retention, max_msg_size: ofStream } = info.config;
      const ofServer = connection.info?.max_payload ?? Number.POSITIVE_INFINITY;
      const parts = {
        ...{ context, subject, connection, client, manager, stream, headers },
        isKept: retention === 'limits',
        bytesMax: ofStream > 0 ? Math.min(ofStream, ofServer) : ofServer,
      };
      return new StreamWriter(parts);
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  close(): Promise<void> {
    return this.#parts.connection.close();
  }

  /** Why this stream never takes a message: it is too large for the server or for the stream. */
  faultOf(message: OutgoingMessage): string | undefined {
    const { bytesMax } = this.#parts;
    const bytes = message.value.byteLength + headerBytes(message);
    if (bytes + HEADER_BYTES <= bytesMax) return undefined;
    return `${bytes} bytes; the stream takes ${bytesMax}, with ${HEADER_BYTES} for the headers of the bridge.`;
  }

  async write(events: readonly Written[]): Promise<void> {
    const { isKept } = this.#parts;
    const runs = [...Map.groupBy(events, ({ partition }) => partition)];
    if (!isKept) return this.#writeById(runs);
    await Promise.all(runs.map(([partition]) => this.#lasts.has(partition) || this.#look(partition)));
    for (let idle = 0; idle < ROUNDS_MAX; idle++) {
      const left = runs
        .map(([partition, run]) => ({ partition, events: this.#unsent(partition, run) }))
        .filter((run) => run.events.length > 0);
      if (left.length === 0) return;
      if (await this.#round(left)) idle = 0;
    }
    throw new AiosError('bridges.refused', {
      detail: `${this.#parts.subject}: others write to its partitions all the time.`,
    });
  }

  /** Dead letters, one by one after whatever is there; the messages say what the last one said, so that nothing else comes again with them. */
  async writeAgain(events: readonly Written[]): Promise<void> {
    for (const event of events) {
      await this.#look(event.partition);
      const last = this.#lasts.get(event.partition)!;
      const { seq } = await this.#publish(event, { lastSubjectSequence: last.sequence }, last.offset);
      this.#lasts.set(event.partition, { ...last, sequence: seq });
    }
  }

  #unsent(partition: number, events: readonly Written[]): Written[] {
    const { offset: last } = this.#lasts.get(partition)!;
    return events.filter(({ offset }) => offset > last);
  }

  /**
   * Sends all at once. The first of a partition is stored only after the one that is known to be the last there; each other one only right after the one
   * before it, which is lost when another writer comes in between: what was refused stays for the next round. Says whether one got through.
   */
  async #round(runs: readonly Run[]): Promise<boolean> {
    const sent = runs.flatMap(({ partition, events }) => {
      const { sequence } = this.#lasts.get(partition)!;
      return events.map((event, at) => {
        const before = events[at - 1];
        const expect = before ? { lastMsgID: this.#idOf(before) } : { lastSubjectSequence: sequence };
        return { partition, event, answer: this.#publish(event, expect) };
      });
    });
    const answers = await Promise.allSettled(sent.map(({ answer }) => answer));
    const through = new Set<number>();
    for (const [at, answer] of answers.entries()) {
      const { partition, event } = sent[at]!;
      if (answer.status === 'fulfilled') {
        through.add(partition);
        const { others } = this.#lasts.get(partition)!;
        this.#lasts.set(partition, { sequence: answer.value.seq, offset: event.offset, others });
      } else if (!isOvertaken(answer.reason)) throw answer.reason;
    }
    const stale = runs.filter(({ partition }) => !through.has(partition));
    await Promise.all(stale.map(({ partition }) => this.#look(partition)));
    return through.size > 0;
  }

  /** Each at most once within the stream's window of duplicates; what failed comes again with all of its batch. */
  async #writeById(runs: readonly (readonly [number, readonly Written[]])[]): Promise<void> {
    const answers = runs.flatMap(([, events]) => events.map((event) => this.#publish(event)));
    const failed = (await Promise.allSettled(answers)).find(({ status }) => status === 'rejected');
    if (failed) throw (failed as PromiseRejectedResult).reason;
  }

  #idOf({ partition, offset }: LoggedEvent): string {
    const { name, space } = this.#parts.context;
    return `${name}:${space}:${partition}:${offset}`;
  }

  async #publish(
    written: Written,
    expect?: { lastSubjectSequence: number } | { lastMsgID: string },
    offset = written.offset,
  ) {
    const { partition, message } = written;
    const { context, client, subject, stream } = this.#parts;
    const { value, headers, contentType } = message;
    const all = this.#parts.headers();
    for (const [name, text] of Object.entries(headers)) all.set(name, encoded(text));
    if (contentType !== undefined) all.set('content-type', contentType);
    all.set(BRIDGE, context.name);
    all.set(SPACE, context.space);
    all.set(OFFSET, String(offset));
    const { others = [] } = this.#lasts.get(partition) ?? {};
    if (others.length > 0) all.set(OTHERS, others.join(', '));
    return client.publish(`${subject}.${partition}`, value, {
      headers: all,
      msgID: this.#idOf(written),
      timeout: PUBLISH_MS,
      expect: { streamName: stream, ...expect },
    });
  }

  /** What the other side has of a partition. */
  async #look(partition: number): Promise<void> {
    const { context, manager, stream, subject } = this.#parts;
    const before = this.#lasts.get(partition)?.offset ?? -1;
    const found = await manager.streams.getMessage(stream, { last_by_subj: `${subject}.${partition}` });
    if (!found) {
      this.#lasts.set(partition, { sequence: 0, offset: before, others: [] });
      return;
    }
    const bridge = found.header.get(BRIDGE);
    if (bridge !== context.name || found.header.get(OFFSET) === '')
      throw new AiosError('bridges.refused', {
        detail: `${subject}.${partition} holds messages of ${bridge ? `the bridge ${bridge}` : 'another writer'}: a bridge needs subjects of its own, or what it sent could not be told.`,
      });
    const { offset, others } = placesIn(found.header, context.space);
    if (offset > before) await context.checkPlace(partition, offset);
    this.#lasts.set(partition, { sequence: found.seq, offset: Math.max(before, offset), others });
  }
}

function placesIn(header: MsgHdrs, space: string): Pick<Last, 'offset' | 'others'> {
  const handedOn = header.get(OTHERS).split(', ').filter(Boolean);
  const places = [`${header.get(SPACE)}:${header.get(OFFSET)}`, ...handedOn];
  const own = places.find((place) => place.startsWith(`${space}:`));
  const others = places.filter((place) => place !== own).slice(0, OTHERS_MAX);
  return { offset: own ? Number(own.slice(space.length + 1)) : -1, others };
}

function isOvertaken(error: unknown): boolean {
  return OVERTAKEN.has((error as { code: number }).code);
}

/** With a colon, a space and the end of the line. */
function headerBytes({ headers }: OutgoingMessage): number {
  return Object.entries(headers).reduce(
    (sum, [name, text]) => sum + name.length + encoded(text).length + 4,
    0,
  );
}

/** Section 3.1.3 of the binding: percent-encoded where it is not plain. */
function encoded(value: string): string {
  return value.replace(/[^ !#-$&-~]+/gu, encodeURIComponent);
}
