import type { MqttClient } from 'mqtt';
import type { LoggedEvent } from '../../../../kernel/cloudevent.ts';
import { AiosError } from '../../../../kernel/errors.ts';
import { compileExpression } from '../../../../kernel/expressions.ts';
import type { Delivered, EventSink } from '../../port/event-source.ts';
import type { SinkContext } from '../../port/protocol.ts';
import { connectMqtt, endMqtt, isVersion5, type MqttServer, mqttError } from './connection.ts';

export interface MqttSinkSettings extends MqttServer {
  /** Where events go, without wildcards. */
  readonly topic?: string;
  /** The topic of each event instead: CEL over `event`. */
  readonly topicOf?: string;
  readonly qos?: 1 | 2;
  readonly retain?: boolean;
}

/** Offsets that this process has sent, and the broker has taken, in one piece. */
interface Sent {
  readonly first: number;
  readonly last: number;
}

interface Opened {
  readonly client: MqttClient;
  /** What ended the connection. */
  end: { readonly error: unknown } | undefined;
  /** Told of it. */
  lose(error: unknown): void;
}

type Refused = NonNullable<Delivered['refused']>;

/** Messages on their way at once, where the broker does not say less. */
const WINDOW_MAX = 100;
/** Left for the topic and the headers of a message, which count. */
const HEADER_BYTES = 4096;
const TOPIC_BYTES_MAX = 65_535;
/** Reason codes that are of the one message: its topic, its size, its form. */
const MESSAGE_REFUSED = new Set([0x90, 0x95, 0x99]);

/**
 * Publishes events in order, each safe when the broker has it. MQTT tells nobody what it was given before: what this process has sent and could not commit is
 * not sent again by it; after a crash the last batch is, under the same ids, by which readers know it.
 *
 * @throws AiosError `bridges.unreachable`, `bridges.refused`
 */
export function mqttSink(context: SinkContext, settings: MqttSinkSettings): EventSink {
  const publisher = new Publisher(context, settings);
  return {
    group: context.group,
    close: () => publisher.close(),
    async deliver(events, isAgain) {
      try {
        const refused = await (isAgain ? publisher.publish(events) : publisher.publishUnsent(events));
        context.answered();
        return { undone: [], refused };
      } catch (error) {
        await publisher.close();
        throw mqttError(error, settings);
      }
    },
  };
}

class Publisher {
  readonly #context: SinkContext;
  readonly #settings: MqttSinkSettings;
  readonly #topicOf: (event: LoggedEvent['event']) => unknown;
  readonly #sent = new Map<number, Sent>();
  #opened: Promise<Opened> | undefined;

  constructor(context: SinkContext, settings: MqttSinkSettings) {
    const { topic, topicOf } = settings;
    this.#context = context;
    this.#settings = settings;
    const expression = topicOf === undefined ? undefined : compileExpression(topicOf);
    this.#topicOf = expression ? (event) => expression({ event }) : () => topic;
  }

  async close(): Promise<void> {
    const opened = this.#opened;
    this.#opened = undefined;
    await opened?.then(({ client }) => endMqtt(client)).catch(() => {});
  }

  async publishUnsent(events: readonly LoggedEvent[]): Promise<Refused> {
    for (const [partition, run] of Map.groupBy(events, ({ partition }) => partition)) {
      const sent = this.#sent.get(partition);
      // One that begins before is a replay, and all of it is meant.
      if (sent && (run[0]!.offset < sent.first || run[0]!.offset > sent.last)) this.#sent.delete(partition);
    }
    const isSent = ({ partition, offset }: LoggedEvent) => offset <= (this.#sent.get(partition)?.last ?? -1);
    return this.publish(
      events.filter((event) => !isSent(event)),
      ({ partition, offset }) => {
        const first = this.#sent.get(partition)?.first ?? offset;
        this.#sent.set(partition, { first, last: offset });
      },
    );
  }

  /**
   * @param taken is told of each event that the broker has, in order, until one fails
   * @returns what the broker will never take
   */
  async publish(
    events: readonly LoggedEvent[],
    taken: (event: LoggedEvent) => void = () => {},
  ): Promise<Refused> {
    if (events.length === 0) return [];
    this.#opened ??= this.#open();
    const opened = await this.#opened;
    if (opened.end) throw opened.end.error;
    // What is on its way when the connection ends is never answered.
    const lost = new Promise<never>((_, fail) => {
      opened.lose = fail;
    });
    return Promise.race([this.#publishAll(opened.client, events, taken), lost]);
  }

  async #open(): Promise<Opened> {
    const { client, ended } = await connectMqtt(this.#settings, this.#context, { clean: true });
    const opened: Opened = { client, end: undefined, lose: () => {} };
    void ended.then((error) => {
      opened.end = { error };
      opened.lose(error);
    });
    return opened;
  }

  /**
   * As many on their way as the broker takes, and another with each that it answers: a broker that leaves its answers to Nagle's algorithm, as mosquitto does, would hold
   * all but the first of a window back until our kernel acknowledges that one, 40 ms later.
   */
  async #publishAll(
    client: MqttClient,
    events: readonly LoggedEvent[],
    taken: (event: LoggedEvent) => void,
  ): Promise<Refused> {
    const refused: { event: LoggedEvent; error: AiosError }[] = [];
    const window = Math.min(WINDOW_MAX, client.serverProperties?.receiveMaximum ?? WINDOW_MAX);
    const answers: Promise<void>[] = [];
    for (const [index, event] of events.entries()) {
      while (answers.length < events.length && answers.length - index < window) {
        const answer = this.#send(client, events[answers.length]!);
        answer.catch(() => {}); // told in its turn
        answers.push(answer);
      }
      try {
        await answers[index];
      } catch (error) {
        const problem = refusal(error);
        if (!problem) throw error;
        refused.push({ event, error: problem });
      }
      taken(event);
    }
    return refused;
  }

  async #send(client: MqttClient, { event, partition, offset }: LoggedEvent): Promise<void> {
    const { qos = 1, retain = false } = this.#settings;
    const topic = this.#topicOf(event);
    if (typeof topic !== 'string' || topic === '' || /[+#\0]/.test(topic) || topic.length > TOPIC_BYTES_MAX)
      throw refusedFor(`${JSON.stringify(topic)} is no topic.`);
    const { value, headers, contentType } = this.#context.encode(event);
    const bytesMax = client.serverProperties?.maximumPacketSize ?? Number.POSITIVE_INFINITY;
    if (value.byteLength + HEADER_BYTES > bytesMax)
      throw refusedFor(`${value.byteLength} bytes; the broker takes ${bytesMax} with the headers.`);
    // With hyphens, so that they are no attributes of the event.
    const place = { 'aios-partition': String(partition), 'aios-offset': String(offset) };
    const properties = isVersion5(this.#settings)
      ? { properties: { userProperties: { ...headers, ...place }, ...(contentType ? { contentType } : {}) } }
      : {};
    await client.publishAsync(topic, value, { qos, retain, ...properties });
  }
}

function refusedFor(detail: string, cause?: unknown): AiosError {
  return new AiosError('bridges.message_refused', { detail, cause });
}

/** Of the one message; nothing where it is of the connection. */
function refusal(error: unknown): AiosError | undefined {
  if (error instanceof AiosError) return error.code === 'bridges.message_refused' ? error : undefined;
  const { code, message } = error as { code?: unknown; message: string };
  return typeof code === 'number' && MESSAGE_REFUSED.has(code) ? refusedFor(message, error) : undefined;
}
