import { setTimeout as sleep } from 'node:timers/promises';
import type { MqttClient } from 'mqtt';
import type { LoggedEvent } from '../../../../kernel/cloudevent.ts';
import { AiosError } from '../../../../kernel/errors.ts';
import { compileExpression } from '../../../../kernel/expressions.ts';
import type { Delivered, EventSink } from '../../port/event-source.ts';
import type { OutgoingMessage, SinkContext } from '../../port/protocol.ts';
import { hurryAnswers } from './awaited-answers.ts';
import { connectMqtt, endMqtt, isVersion5, type MqttServer, mqttError } from './connection.ts';
import { ExactSession, type OutgoingPacket } from './exact-session.ts';
import { PlacesOfSink } from './places.ts';
import { refusal, refusedFor, requireSize, requireTopic } from './refused-message.ts';

export interface MqttSinkSettings extends MqttServer {
  /** Where events go, without wildcards. */
  readonly topic?: string;
  /** The topic of each event instead: CEL over `event`. */
  readonly topicOf?: string;
  readonly qos?: 1 | 2;
  readonly retain?: boolean;
  /** Whether the broker keeps the place of the bridge; true when left out. */
  readonly placeInBroker?: boolean;
}

interface Opened {
  readonly client: MqttClient;
  /** What ended the connection. */
  end: { readonly error: unknown } | undefined;
  /** Told of it. */
  lose(error: unknown): void;
}

/** How events of a batch are published. */
interface Manner {
  /** Whether the place moves with them. */
  readonly isPlaced: boolean;
  /** Whether what comes behind one that is refused in its partition is undone: then each waits for the answer to the one before it. */
  readonly isStrict: boolean;
}

/** What is known of a batch while it is handed over. */
class Outcome {
  readonly refused: { event: LoggedEvent; error: AiosError }[] = [];
  readonly undone: LoggedEvent[] = [];
  readonly #isStrict: boolean;
  readonly #stopped = new Set<number>();

  constructor(isStrict: boolean) {
    this.#isStrict = isStrict;
  }

  refuse(event: LoggedEvent, error: AiosError): void {
    this.refused.push({ event, error });
    if (this.#isStrict) this.#stopped.add(event.partition);
  }

  /** Whether one before it in its partition was refused, and it is to wait for that one. */
  isStopped({ partition }: LoggedEvent): boolean {
    return this.#stopped.has(partition);
  }
}

/** Within which the broker has to bring back what is sent to the topics of the place. */
const PLACES_MS = 5_000;
/** Messages on their way at once, where the broker does not say less. */
const WINDOW_MAX = 100;

/**
 * Publishes events in order, each safe when the broker has it, and behind them the place in the log that they lead to (`PlacesOfSink`): who comes after a crash
 * goes on behind the place. MQTT has no transactions: what was written in the moment of the crash, and no place behind it, is sent again under the same ids, with QoS 1. With QoS 2 each is
 * passed on once (`ExactSession`).
 *
 * @throws AiosError `bridges.unreachable`, `bridges.refused`
 */
export function mqttSink(context: SinkContext, settings: MqttSinkSettings): EventSink {
  const publisher = new Publisher(context, settings);
  return {
    group: context.group,
    close: () => publisher.close(),
    async deliver(events, handing) {
      try {
        const delivered = await (handing === 'again'
          ? publisher.publish(events)
          : publisher.publishUnsent(events, handing === 'strict'));
        context.answered();
        return delivered;
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
  readonly #places: PlacesOfSink;
  #opened: Promise<Opened> | undefined;
  /** Messages on their way over the connection. */
  #unanswered = 0;
  /** Whether the broker has refused a batch for what is not of one message: then no place is told before the answer to what is before it. */
  #isWary = false;
  /** With QoS 2, by partition. */
  readonly #sessions = new Map<number, Promise<ExactSession>>();

  constructor(context: SinkContext, settings: MqttSinkSettings) {
    const { topic, topicOf } = settings;
    this.#context = context;
    this.#settings = settings;
    this.#places = new PlacesOfSink(context.group, context.space);
    const expression = topicOf === undefined ? undefined : compileExpression(topicOf);
    this.#topicOf = expression ? (event) => expression({ event }) : () => topic;
  }

  async close(): Promise<void> {
    const all = [this.#opened, ...this.#sessions.values()];
    this.#opened = undefined;
    this.#sessions.clear();
    await Promise.all(all.map((one) => one?.then(({ client }) => endMqtt(client)).catch(() => {})));
  }

  async publishUnsent(events: readonly LoggedEvent[], isStrict: boolean): Promise<Delivered> {
    const { client } = await this.#connection();
    // Who takes a session over knows the place only then.
    if (this.#isExact)
      await Promise.all(
        [...new Set(events.map(({ partition }) => partition))].map((one) => this.#session(one)),
      );
    for (const [partition, run] of Map.groupBy(events, (event) => event.partition))
      if (run[0]!.offset <= this.#places.of(partition))
        await this.#context.checkPlace(partition, this.#places.of(partition));
    const outcome = new Outcome(isStrict);
    const unsent: LoggedEvent[] = [];
    for (const event of events) {
      if (outcome.isStopped(event)) {
        outcome.undone.push(event);
        continue;
      }
      const isSent = event.offset <= this.#places.of(event.partition);
      // One that is behind the place was passed over then, and its dead letter may not have been recorded.
      const error = isSent || isStrict ? this.#refusalOf(event, client) : undefined;
      if (error) outcome.refuse(event, error);
      else if (!isSent) unsent.push(event);
    }
    const { refused = [], undone } = await this.publish(unsent, { isPlaced: true, isStrict });
    return { refused: [...outcome.refused, ...refused], undone: [...undone, ...outcome.undone] };
  }

  async publish(
    events: readonly LoggedEvent[],
    manner: Manner = { isPlaced: false, isStrict: false },
  ): Promise<Delivered> {
    if (events.length === 0) return { undone: [] };
    const opened = await this.#connection();
    // What is on its way when the connection ends is never answered.
    const lost = new Promise<never>((_, fail) => {
      opened.lose = fail;
    });
    const publishing =
      manner.isPlaced && this.#isExact
        ? this.#publishExactly(opened.client, events, manner.isStrict)
        : this.#publishAll(opened.client, events, manner);
    return Promise.race([publishing, lost]);
  }

  async #connection(): Promise<Opened> {
    this.#opened ??= this.#open();
    const opened = await this.#opened;
    if (opened.end) throw opened.end.error;
    return opened;
  }

  async #session(partition: number): Promise<ExactSession> {
    const known = await this.#sessions.get(partition);
    if (known && !known.isOver) return known;
    const { client: reader } = await this.#connection();
    const [settings, context, places] = [this.#settings, this.#context, this.#places];
    const opening = ExactSession.open({ settings, context, partition, places, reader });
    this.#sessions.set(partition, opening);
    return opening;
  }

  /** With room for them. */
  async #sessionFor(
    partition: number,
    packets: readonly OutgoingPacket[],
    client: MqttClient,
    isStrict: boolean,
  ): Promise<ExactSession> {
    const session = await this.#session(partition);
    if (session.hasRoomFor(packets, windowOf(client), isStrict)) return session;
    const renewing = session.renewed();
    this.#sessions.set(partition, renewing);
    return renewing;
  }

  async #open(): Promise<Opened> {
    const { client, ended } = await connectMqtt(this.#settings, this.#context, { clean: true });
    const opened: Opened = { client, end: undefined, lose: () => {} };
    this.#unanswered = 0;
    if (this.#keepsPlace) hurryAnswers(client, this.#places.nobody, () => this.#unanswered > 0);
    void ended.then((error) => {
      opened.end = { error };
      opened.lose(error);
    });
    if (!this.#keepsPlace) return opened;
    const lost = ended.then((error) => Promise.reject(error));
    try {
      await Promise.race([this.#places.open(client), lost, this.#refusedPlaces()]);
    } catch (error) {
      endMqtt(client);
      throw error;
    }
    return opened;
  }

  /** As many on their way as the broker takes, and another with each that it answers. */
  async #publishAll(
    client: MqttClient,
    events: readonly LoggedEvent[],
    { isPlaced, isStrict }: Manner,
  ): Promise<Delivered> {
    const outcome = new Outcome(isStrict);
    const tells = isPlaced && this.#keepsPlace;
    const isWaiting = isStrict || this.#isWary;
    const window = isWaiting ? 1 : windowOf(client);
    const answers: (Promise<void> | undefined)[] = [];
    for (const [index, event] of events.entries()) {
      while (answers.length < events.length && answers.length - index < window) {
        const next = events[answers.length]!;
        const answer = outcome.isStopped(next) ? undefined : this.#send(client, next);
        if (tells && !isWaiting) this.#places.sent(client, next.partition, next.offset);
        answer?.catch(() => {}); // told in its turn
        answers.push(answer);
      }
      if (outcome.isStopped(event)) {
        outcome.undone.push(event);
        continue;
      }
      try {
        await answers[index];
      } catch (error) {
        const problem = refusal(error);
        if (!problem) {
          if (tells && !isWaiting) await this.#takeBack(client, events, answers);
          this.#isWary = true;
          throw error;
        }
        outcome.refuse(event, problem);
        if (isStrict) continue; // the place stays before it
      }
      if (isPlaced) this.#places.taken(event.partition, event.offset);
      if (tells && isWaiting) this.#places.sent(client, event.partition, event.offset);
    }
    this.#isWary = false;
    return outcome;
  }

  /** Sets the places back that were told with events which the broker refuses for now: what is behind a place counts as sent. */
  async #takeBack(
    client: MqttClient,
    events: readonly LoggedEvent[],
    answers: readonly (Promise<void> | undefined)[],
  ): Promise<void> {
    const settled = await Promise.allSettled(answers);
    const isOpen = (index: number) => {
      const answer = settled[index];
      return answer === undefined || (answer.status === 'rejected' && !refusal(answer.reason));
    };
    const open = events.filter((_, index) => isOpen(index));
    for (const [partition, run] of Map.groupBy(events, (event) => event.partition)) {
      const first = run.findIndex((event) => open.includes(event));
      if (first < 0) continue;
      const offset = run[first - 1]?.offset ?? this.#places.of(partition);
      await client.publishAsync(...this.#places.message(partition, { offset }), { qos: 1, retain: true });
      this.#places.back(partition, offset); // when what was told before has come back, too
    }
  }

  async #publishExactly(
    client: MqttClient,
    events: readonly LoggedEvent[],
    isStrict: boolean,
  ): Promise<Delivered> {
    const outcome = new Outcome(isStrict);
    const publishRun = async (partition: number, run: readonly LoggedEvent[]) => {
      const packets: OutgoingPacket[] = [];
      for (const logged of run)
        try {
          if (!outcome.isStopped(logged)) packets.push(this.#packetOf(logged, client));
        } catch (error) {
          const problem = refusal(error);
          if (!problem) throw error;
          outcome.refuse(logged, problem);
        }
      const session = await this.#sessionFor(partition, packets, client, isStrict);
      for (const { logged, reasonCode } of await session.write(packets, windowOf(client), isStrict)) {
        const problem = refusal({
          code: reasonCode,
          message: `The broker refuses it (reason code ${reasonCode}).`,
        });
        if (!problem) throw Object.assign(new Error('The broker refuses a message'), { code: reasonCode });
        outcome.refuse(logged, problem);
      }
      const stopped = outcome.refused.find(({ event }) => isStrict && event.partition === partition)?.event;
      if (stopped) outcome.undone.push(...run.filter(({ offset }) => offset > stopped.offset));
    };
    await Promise.all(
      [...Map.groupBy(events, ({ partition }) => partition)].map(([partition, run]) =>
        publishRun(partition, run),
      ),
    );
    return outcome;
  }

  /** @throws AiosError `bridges.message_refused` for a topic or a size that no broker, or this one, takes */
  #messageOf({ event }: LoggedEvent, client: MqttClient): { topic: string } & OutgoingMessage {
    const topic = this.#topicFor(event);
    requireTopic(topic);
    const message = this.#context.encode(event);
    requireSize(message, client.serverProperties?.maximumPacketSize);
    return { topic, ...message };
  }

  /** An expression may fail on one event, which must not hold up the others. */
  #topicFor(event: LoggedEvent['event']): unknown {
    try {
      return this.#topicOf(event);
    } catch (error) {
      throw refusedFor((error as Error).message, error);
    }
  }

  #refusalOf(event: LoggedEvent, client: MqttClient): AiosError | undefined {
    try {
      this.#messageOf(event, client);
      return undefined;
    } catch (error) {
      const problem = refusal(error);
      if (!problem) throw error;
      return problem;
    }
  }

  #packetOf(logged: LoggedEvent, client: MqttClient): OutgoingPacket {
    const { qos = 1, retain = false } = this.#settings;
    const { topic, value, headers, contentType } = this.#messageOf(logged, client);
    // With hyphens, so that they are no attributes of the event.
    const place = { 'aios-partition': String(logged.partition), 'aios-offset': String(logged.offset) };
    const properties = isVersion5(this.#settings)
      ? { properties: { userProperties: { ...headers, ...place }, ...(contentType ? { contentType } : {}) } }
      : {};
    return { logged, topic, value, options: { qos, retain, ...properties } };
  }

  async #send(client: MqttClient, logged: LoggedEvent): Promise<void> {
    const { topic, value, options } = this.#packetOf(logged, client);
    this.#unanswered++;
    await client.publishAsync(topic, value, options);
    this.#unanswered--;
  }

  /** Whether nothing is passed on twice. */
  get #isExact(): boolean {
    return this.#settings.qos === 2 && this.#keepsPlace;
  }

  get #keepsPlace(): boolean {
    return this.#settings.placeInBroker !== false;
  }

  async #refusedPlaces(): Promise<never> {
    await sleep(PLACES_MS, undefined, { ref: false });
    const detail = `${this.#settings.broker}: nothing of what is sent to aios-${this.#context.group}/# comes back: let the bridge write and read there, or set placeInBroker: false.`;
    throw new AiosError('bridges.refused', { detail });
  }
}

/** Messages on their way at once. */
function windowOf({ serverProperties }: MqttClient): number {
  return Math.min(WINDOW_MAX, serverProperties?.receiveMaximum ?? WINDOW_MAX);
}
