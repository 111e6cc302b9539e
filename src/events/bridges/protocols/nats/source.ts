import type { JetStreamManager, StreamInfo } from '@nats-io/jetstream';
import type { Msg, NatsConnection } from '@nats-io/transport-node';
import { AiosError } from '../../../../kernel/errors.ts';
import type { JsonObject } from '../../../../kernel/json.ts';
import { decodedBatch } from '../../messages/decoded.ts';
import type { EventSource, SourceBatch } from '../../port/event-source.ts';
import type { IncomingMessage, SourceContext } from '../../port/protocol.ts';
import { connectNats, type NatsServers, natsError } from './connection.ts';
import { type Pulled, Pulls } from './pulls.ts';

export interface NatsSourceSettings extends NatsServers {
  readonly stream: string;
  /** A subject of the stream, with `*` and `>`; without it, all of them. */
  readonly subject?: string;
}

const FETCH_MAX = 500;
/** The server forgets the consumer of a process that is gone after this. */
const IDLE_NS = 60_000_000_000;

/**
 * The messages of a stream in its order. The place is the sequence number of the last one, with the time the stream was made: one that was made anew is read from
 * its beginning. The consumer on the server is one of the connection, nothing is acknowledged there, and only our place counts.
 *
 * @throws AiosError `bridges.unreachable`, `bridges.refused` (no such stream, credentials)
 */
export function natsSource(context: SourceContext, settings: NatsSourceSettings): EventSource {
  return {
    name: context.name,
    async *read(from, signal) {
      const connection = await connectNats(settings, context);
      const close = () => void connection.close().catch(() => {});
      signal.addEventListener('abort', close, { once: true });
      try {
        if (!signal.aborted) yield* new StreamReader(connection, settings, context).read(from);
      } catch (error) {
        if (!signal.aborted) throw natsError(error, settings.stream);
      } finally {
        signal.removeEventListener('abort', close);
        await connection.close();
      }
    },
  };
}

class StreamReader {
  readonly #connection: NatsConnection;
  readonly #settings: NatsSourceSettings;
  readonly #context: SourceContext;

  constructor(connection: NatsConnection, settings: NatsSourceSettings, context: SourceContext) {
    this.#connection = connection;
    this.#settings = settings;
    this.#context = context;
  }

  async *read(from: JsonObject | undefined): AsyncGenerator<SourceBatch> {
    const { jetstreamManager } = await import('@nats-io/jetstream');
    const { createInbox } = await import('@nats-io/transport-node');
    const { stream } = this.#settings;
    const manager = await jetstreamManager(this.#connection);
    const info = await manager.streams.info(stream);
    const start = this.#start(info, from);
    const { name, num_pending } = await this.#consumer(manager, start + 1);
    this.#context.behind(num_pending);
    const pulls = new Pulls(this.#connection, stream, name, createInbox);
    this.#context.answered();
    for await (const { messages, sequence, previous } of this.#batches(pulls, info, start)) {
      if (sequence - previous > messages.length) this.#tellGap(previous, await manager.streams.info(stream));
      yield decodedBatch(this.#context, messages, { stream, created: info.created, sequence });
    }
  }

  /** The last sequence number of this stream that was taken, or that is left out. */
  #start(info: StreamInfo, from: JsonObject | undefined): number {
    const { last_seq: last } = info.state;
    const { stream } = this.#settings;
    // The definition may have named another one before.
    if (!from || (from.stream ?? stream) !== stream) return this.#context.start === 'latest' ? last : 0;
    const isSame = from.created === info.created;
    if (isSame && Number(from.sequence) <= last) return Number(from.sequence);
    const what = isSame
      ? `ends at ${last}, and was read up to ${from.sequence}: it was set back to an older state, and`
      : `was made anew on ${info.created}: it`;
    const detail = `The stream ${stream} ${what} is read from its beginning.`;
    this.#context.report(new AiosError('bridges.gap', { detail }));
    return 0;
  }

  /** Numbers that are left out may be of other subjects, or deleted one by one: only what is before the first of the stream was lost to its limits. */
  #tellGap(last: number, { state }: StreamInfo): void {
    if (last === 0 || state.first_seq <= last + 1) return;
    const { stream } = this.#settings;
    const detail = `The messages ${last + 1} to ${state.first_seq - 1} of the stream ${stream} are gone before they were read; reading goes on from ${state.first_seq}.`;
    this.#context.report(new AiosError('bridges.gap', { detail }));
  }

  #consumer(manager: JetStreamManager, from: number) {
    const { stream, subject } = this.#settings;
    return manager.consumers.add(stream, {
      ack_policy: 'none',
      deliver_policy: 'by_start_sequence',
      opt_start_seq: from,
      inactive_threshold: IDLE_NS,
      mem_storage: true,
      ...(subject === undefined ? {} : { filter_subject: subject }),
    });
  }

  /** What has arrived, as it arrives. No more than one pull is asked for before it is taken. Ends when a message was lost on the way. */
  async *#batches(pulls: Pulls, info: StreamInfo, start: number) {
    let [previous, delivered] = [start, 0];
    for (;;) {
      const count = Math.min(FETCH_MAX, this.#context.batchMax());
      const bytes = this.#context.limits.bridgeReadBytesMax;
      for await (const arrived of pulls.pull({ count, bytes })) {
        // Nothing is acknowledged: what does not arrive does not come again.
        if (arrived.some((one) => one.delivered !== ++delivered)) return;
        const { sequence, pending } = arrived.at(-1)!;
        this.#context.behind(pending + arrived.length);
        yield { messages: arrived.map((one) => messageOf(info, one)), sequence, previous };
        this.#context.behind(pending);
        previous = sequence;
      }
    }
  }
}

function messageOf(
  { config: { name: stream }, created }: StreamInfo,
  { message, sequence, timestampNanos }: Pulled,
): IncomingMessage {
  const { headers, fault } = headersOf(message);
  return {
    // With the time: in a stream that was set back to an older state, others come under the same numbers.
    id: `${stream}:${Date.parse(created)}:${sequence}:${timestampNanos}`,
    topic: message.subject,
    value: message.data,
    headers,
    contentType: headers['content-type'],
    fault,
    timeMs: Number(timestampNanos / 1_000_000n),
    position: { stream, sequence },
  };
}

/** A server stores whatever stands there; the library throws for a name that no header can have (NATS ADR-4). */
function headersOf(message: Msg): Pick<IncomingMessage, 'headers' | 'fault'> {
  const headers: Record<string, string> = {};
  try {
    for (const [name, values] of message.headers ?? []) {
      const value = values.at(-1) ?? '';
      headers[name.toLowerCase()] = /^ce-/i.test(name) ? decoded(value) : value;
    }
    return { headers };
  } catch (error) {
    return { headers: {}, fault: `its headers cannot be read: ${(error as Error).message}` };
  }
}

/** Section 3.1.3 of the binding: percent-encoded, as over HTTP. */
function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
