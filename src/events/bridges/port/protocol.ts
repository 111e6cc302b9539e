import type { LookupAddress } from 'node:dns';
import type { Clock } from '../../../kernel/clock.ts';
import type { CloudEvent } from '../../../kernel/cloudevent.ts';
import type { AiosError } from '../../../kernel/errors.ts';
import type { Json, JsonObject } from '../../../kernel/json.ts';
import type { Limits } from '../../../kernel/limits.ts';
import type { EventSink, EventSource, RejectedMessage } from './event-source.ts';
import type { RegistryAddress, SchemaRegistry, ValueSchema } from './schema-registry.ts';

/**
 * How an event is written in a message, by the protocol bindings of CloudEvents 1.0: all of it in the body (`structured`), its attributes in headers (`binary`),
 * or only its data (`raw`).
 */
export type MessageFormat = 'structured' | 'binary' | 'raw';

/** What a value or a key says, or why it cannot be read. */
export type Unpacked = { readonly json: Json } | { readonly fault: string };

/** A message of another system, before it is known to be an event. */
export interface IncomingMessage {
  /** Unique there and the same when it is read again: the id of an event that brings none. */
  readonly id: string;
  /** Bytes where it is not a text. */
  readonly key?: string | Uint8Array | undefined;
  /** What the key says where it is no plain text by the settings, or why that cannot be read; `key` stays as it came. */
  readonly unpackedKey?: Unpacked | undefined;
  /** The body as bytes, or what a reader of rows has parsed already. */
  readonly value: Uint8Array | { readonly json: Json };
  /** Names as they came; for CloudEvents their case does not count. */
  readonly headers: Readonly<Record<string, string>>;
  readonly contentType?: string | undefined;
  /** The topic, subject, queue or file. */
  readonly topic: string;
  /** Milliseconds since the epoch; the time of reading when left out. */
  readonly timeMs?: number | undefined;
  /** What the value says by the schema that it was written with, or why that cannot be read; `value` stays as it came. */
  readonly unpacked?: Unpacked | undefined;
  /** Why it cannot be read: it is put aside as it is. */
  readonly fault?: string | undefined;
  /** Where it stands there, as people are told of it. */
  readonly position: JsonObject;
}

/** Messages with their values and keys read as the settings say, by the schemas that they were written with. Throws where the registry does not answer. */
export type Unpacker = (messages: readonly IncomingMessage[]) => Promise<readonly IncomingMessage[]>;

/** An event as a message. */
export interface OutgoingMessage {
  /** Events with the same key keep their order. */
  readonly key: string | undefined;
  readonly value: Buffer;
  /** With the prefix of the protocol. */
  readonly headers: Readonly<Record<string, string>>;
  readonly contentType: string | undefined;
}

/** The way out: no bridge opens a connection to an address that did not come from here. */
interface BridgeEgress {
  /**
   * The addresses of a host, checked.
   *
   * @throws AiosError `connectors.egress_refused`, `connectors.unreachable` for a name without an address
   * @example const [{ address }] = await egress.addresses('broker.example.org', 9092); connect({ host: address, port: 9092, servername: 'broker.example.org' })
   */
  addresses(host: string, port: number): Promise<readonly LookupAddress[]>;
  /** Folders of this machine that the operator allows (`AIOS_BRIDGE_FOLDERS`). */
  readonly folders: readonly string[];
}

/** What every bridge is given. */
export interface BridgeContext {
  /** The bridge's name. */
  readonly name: string;
  /** What it leaves on the other side goes under this name, too: another database has bridges of the same name, and other offsets. */
  readonly space: string;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly egress: BridgeEgress;
  /** The schema registry at an address; the one of this installation when left out. */
  schemaRegistry(address?: RegistryAddress): SchemaRegistry;
  /** Tells the operator of something that does not end the bridge: a gap of what the other side kept. */
  report(error: AiosError): void;
  /** Tells that the other side answers: what was wrong before is over. */
  answered(): void;
}

export interface SourceContext extends BridgeContext {
  /** Where a source without a place begins; a protocol that has no such notion leaves it aside. */
  readonly start: 'earliest' | 'latest';
  /** Tells how many messages (of a folder: files) the other side has beyond those that were taken, where it says so. */
  behind(messages: number): void;
  /** Messages of one batch at most, asked before each; while one of them holds the bridge up it is 1, so that those before it get through. */
  batchMax(): number;
  /** The event that a message is: a CloudEvent of either mode, or what the definition's `events` make of it. Never throws. */
  decode(message: IncomingMessage): CloudEvent | RejectedMessage;
}

export interface SinkContext extends BridgeContext {
  /** Its consumer group. */
  readonly group: string;
  /**
   * Holds a place that the other side has to the log, before events are left out for it: one that the log has not reached is of a log that went on and was lost.
   *
   * @param offset the last one that was sent
   * @throws AiosError `bridges.place_ahead`
   */
  checkPlace(partition: number, offset: number): Promise<void>;
  encode(event: CloudEvent): OutgoingMessage;
  /** The schema that the data of events of a type is held to; nothing where the type has no contract. */
  contractSchema(type: string): ValueSchema | undefined;
}

/**
 * A way to other systems. Its file is loaded with AIOS, the library behind it only by the first `source` or `sink`.
 *
 * @example export const kafkaProtocol: BridgeProtocol = { name: 'kafka', source: { settings, open }, sink: { settings, open }, attributePrefixes: ['ce_'] }
 */
export interface BridgeProtocol {
  /** The member of `from` and `to` that its settings stand under: `kafka`. */
  readonly name: string;
  /** What CloudEvents attributes are called among the headers, by the binding of CloudEvents; the first one is written, all are read. `['']` for names as they are. */
  readonly attributePrefixes: readonly string[];
  /** The formats that a sink can write; all when left out. */
  readonly formats?: readonly MessageFormat[];
  readonly source?: {
    /** JSON Schema of its place, which people may move; nothing where the other side keeps it. */
    readonly position?: JsonObject;
    /** JSON Schema of the settings as they are written; texts may hold `${env.NAME}` and `${secrets.NAME}`. */
    readonly settings: JsonObject;
    /** What the schema cannot say, as issues with paths inside the settings; nothing where all is well. */
    check?(settings: JsonObject): readonly { path: string; message: string }[];
    /** What reads values by their schemas before messages are decoded, also those of dead letters; nothing where the settings name no registry. */
    unpacker?(context: BridgeContext, settings: JsonObject): Unpacker | undefined;
    /** @param settings with the values of variables and secrets */
    open(context: SourceContext, settings: JsonObject): EventSource | Promise<EventSource>;
  };
  readonly sink?: {
    readonly settings: JsonObject;
    /** @param format of the bridge */
    check?(settings: JsonObject, format: MessageFormat): readonly { path: string; message: string }[];
    open(context: SinkContext, settings: JsonObject): EventSink | Promise<EventSink>;
  };
}
