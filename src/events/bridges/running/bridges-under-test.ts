import { vi } from 'vitest';
import { systemClock } from '../../../kernel/clock.ts';
import type { CloudEvent, LoggedEvent } from '../../../kernel/cloudevent.ts';
import { AiosError } from '../../../kernel/errors.ts';
import type { JsonObject } from '../../../kernel/json.ts';
import { Definitions, definitionMigrations } from '../../../store/definitions.ts';
import { type Write, write } from '../../../store/lane.ts';
import { createTestDatabase, type TestDatabase } from '../../../testing/database.ts';
import { EventConsumers } from '../../consumers.ts';
import { EventLog } from '../../log.ts';
import { eventMigrations } from '../../migrations.ts';
import { WireReader } from '../messages/wire-format.ts';
import type { RejectedMessage } from '../port/event-source.ts';
import type { BridgeProtocol, IncomingMessage } from '../port/protocol.ts';
import type { RegisteredSchema } from '../port/schema-registry.ts';
import { Bridges } from './bridges.ts';

/** A broker in memory: topics are lists. */
export const topics = new Map<string, IncomingMessage[]>();
export const sent: { topic: string; id: string }[] = [];
/** How many read a topic now, and did at once. One number for all topics would count another bridge that is just then opened anew. */
export const readers = new Map<string, { now: number; most: number }>();
export const broker = {
  opened: 0,
  isAway: false,
  takesLarge: false,
  spaceAhead: undefined as string | undefined,
  /** Takes what it is sent and says nothing, until its connection is cut, or not even then. */
  silence: undefined as 'until cut' | 'for good' | undefined,
};
/** How the connection to a topic is cut. */
const cuts = new Map<string, (error: AiosError) => void>();
const topicOf = (settings: JsonObject) => String(settings.topic);
const settings = { type: 'object', required: ['topic'], properties: { topic: { type: 'string' } } };
const memory: BridgeProtocol = {
  name: 'memory',
  attributePrefixes: ['ce_'],
  source: {
    settings,
    position: { type: 'object', required: ['next'] },
    unpacker: ({ schemaRegistry, limits }, told) => {
      if (!told.schemas) return undefined;
      const reader = new WireReader({ registry: schemaRegistry(), limits });
      return (messages) => reader.unpack(messages);
    },
    open: ({ name, decode, answered, batchMax, behind, ...context }, told) => ({
      name,
      async *read(from, signal) {
        const reading = readers.get(topicOf(told)) ?? { now: 0, most: 0 };
        readers.set(topicOf(told), reading);
        reading.now++;
        broker.opened++;
        reading.most = Math.max(reading.most, reading.now);
        try {
          let next = from ? Number(from.next) : 0;
          while (!signal.aborted) {
            if (broker.isAway) throw new AiosError('connectors.unreachable', { detail: `no ${told.secret}` });
            answered();
            const came = (topics.get(topicOf(told)) ?? []).slice(next, next + Math.min(10, batchMax()));
            const unpack = memory.source!.unpacker!({ name, answered, ...context }, told);
            const messages = unpack ? await unpack(came) : came;
            const decoded = messages.map(decode);
            behind((topics.get(topicOf(told)) ?? []).length - next);
            next += messages.length;
            if (messages.length > 0)
              yield {
                events: decoded.filter((one): one is CloudEvent => !('letter' in one)),
                rejected: decoded.filter((one): one is RejectedMessage => 'letter' in one),
                position: { next },
              };
            else await new Promise((done) => setTimeout(done, 5));
          }
        } finally {
          reading.now--;
        }
      },
    }),
  },
  sink: {
    settings,
    open: ({ group, answered, space, checkPlace }, told) => ({
      group,
      async close() {
        if (broker.silence === 'until cut') cuts.get(topicOf(told))?.(new AiosError('bridges.unreachable'));
      },
      async deliver(events: readonly LoggedEvent[], handing) {
        if (broker.silence && topicOf(told) === 'silent')
          await new Promise((_, fail) => cuts.set(topicOf(told), fail));
        if (broker.isAway) throw new AiosError('connectors.unreachable');
        if (topicOf(told) === 'ahead') {
          broker.spaceAhead ??= space;
          if (space === broker.spaceAhead) await checkPlace(events[0]!.partition, 1_000_000);
        }
        answered();
        const [refused, undone]: LoggedEvent[][] = [[], []];
        for (const one of events)
          if (handing === 'strict' && refused!.some(({ partition }) => partition === one.partition))
            undone!.push(one);
          else if (one.event.subject === 'too large' && !broker.takesLarge) refused!.push(one);
          else sent.push({ topic: topicOf(told), id: one.event.id });
        const error = new AiosError('bridges.message_refused');
        return { undone: undone!, refused: refused!.map((one) => ({ event: one, error })) };
      },
    }),
  },
};

/** What lies in a topic: an object is JSON. */
export const message = (
  id: string,
  body: unknown,
  headers: Record<string, string> = {},
): IncomingMessage => ({
  ...{ id, headers, topic: 't', position: { at: id } },
  value: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
});

export const until = (check: () => unknown) => vi.waitFor(check, { timeout: 15_000, interval: 10 });

/** Bridges of processes over one database, with the broker in memory. */
export class BridgesUnderTest {
  readonly database: TestDatabase;
  readonly log: EventLog;
  readonly definitions: Definitions;
  /** What went on record. */
  readonly records: object[] = [];
  /** What was logged, with the bridge. */
  readonly faults: string[] = [];
  /** Ids that went into quarantine. */
  readonly apart: string[] = [];
  /** What the schema registry has. */
  readonly schemas: RegisteredSchema[] = [];
  /** Types that their contract refuses. */
  readonly unfit = new Set(['unfit']);
  readonly open: { bridges: Bridges; consumers: EventConsumers }[] = [];

  private constructor(database: TestDatabase) {
    this.database = database;
    this.log = new EventLog({ ...database, clock: systemClock });
    this.definitions = new Definitions(database.db);
  }

  static async create(): Promise<BridgesUnderTest> {
    return new BridgesUnderTest(
      await createTestDatabase(
        [...definitionMigrations, ...eventMigrations],
        // The lease is that of a server: on a busy machine a short one runs out, and a source is then rightly taken over.
        'bridgePollMs=20,bridgeStopMs=100,bridgeAnswerMs=200,consumerPollMs=20,consumerPauseMs=1',
      ),
    );
  }

  async close(): Promise<void> {
    for (const one of this.open) await one.bridges.stop();
    for (const one of this.open) await one.consumers.stop();
    await this.database.close();
  }

  async process() {
    const { database, log, definitions, records, apart, unfit, faults } = this;
    const kept = { name: 'kept', order: 98, write: async () => undefined };
    const consumers = new EventConsumers({ ...database, log });
    await consumers.start();
    const bridges = new Bridges({
      ...database,
      ...{ log, consumers, definitions, clock: systemClock, protocols: [memory], takesPart: true },
      schemaRegistry: () => ({
        byId: async (id) => this.schemas.find((one) => one.id === id),
        latest: async () => undefined,
        register: async () => 0,
      }),
      contractSchema: () => undefined,
      addresses: async () => [],
      folders: [],
      fill: (text) => ({ text: text.replace('${secrets.S}', 'hush'), secrets: ['hush'], check: () => {} }),
      redact: (text, secrets) => [...secrets].reduce((clean, one) => clean.replaceAll(one, '***'), text),
      check: ({ type }) => {
        if (unfit.has(type)) throw new AiosError('contracts.data_invalid');
        if (type === 'apart')
          throw new AiosError('contracts.data_invalid', { extensions: { onFail: 'quarantine' } });
      },
      quarantine: ({ id }, fault): Write | undefined =>
        fault.extensions.onFail === 'quarantine' && apart.push(id) ? write(kept, id) : undefined,
      record: (change) => {
        records.push(change);
        return write(kept, change);
      },
      onError: (name, error) => void faults.push(`${name}: ${(error as Error).message}`),
    });
    await bridges.start();
    this.open.push({ bridges, consumers });
    return { bridges, consumers };
  }

  /** Ends a connection that hangs. */
  async cut(topic: string): Promise<void> {
    cuts.get(topic)?.(new AiosError('bridges.unreachable'));
  }

  async define(name: string, body: JsonObject): Promise<void> {
    await this.database.commit.commit([
      this.definitions.put({ kind: 'bridge', name, body: { name, ...body }, source: '', createdBy: 'test' }),
    ]);
    await this.definitions.reload();
  }

  /** The events of a partition key, as the log has them. */
  async logged(partitionkey: string): Promise<CloudEvent[]> {
    const rows = await this.database.db.query<{ event: CloudEvent }>(
      "select event from events where event->>'partitionkey' = $1 order by log_offset",
      [partitionkey],
    );
    return rows.map(({ event }) => event);
  }
}
