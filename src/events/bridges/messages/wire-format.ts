import { LRUCache } from 'lru-cache';
import { AvroFault } from '../../../kernel/avro/avro-bytes.ts';
import { avroReader } from '../../../kernel/avro/avro-reading.ts';
import { parseAvro } from '../../../kernel/avro/avro-schema.ts';
import type { AvroType } from '../../../kernel/avro/avro-type.ts';
import { AiosError } from '../../../kernel/errors.ts';
import { exactJson } from '../../../kernel/exact-integers.ts';
import type { Json } from '../../../kernel/json.ts';
import { requireDepth } from '../../../kernel/json-depth.ts';
import type { Limits } from '../../../kernel/limits.ts';
import type { IncomingMessage, Unpacked } from '../port/protocol.ts';
import type { RegisteredSchema, SchemaRegistry } from '../port/schema-registry.ts';
import { LatestSchema } from './latest-schema.ts';

/*
 * The wire format of Confluent's serializers: a byte 0, the id of a schema in four bytes, the highest first, and the value as the schema writes it.
 */
const MAGIC = 0;
const HEADER_BYTES = 5;

/** What stands before a value that was written by the schema of this id. */
export function wireHeader(id: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(id, 1);
  return header;
}

/** Of a registry that answers, with what is no schema. All else is the registry's fault, and holds the bridge up. */
const NO_SCHEMA: readonly string[] = [
  'definition.invalid',
  'request.too_deep',
  'connectors.response_too_large',
];

export type WireLimits = Pick<
  Limits,
  'bridgeSchemasMax' | 'bridgeSchemaLatestMs' | 'eventBytesMax' | 'jsonDepthMax'
>;

interface ReaderSettings {
  readonly registry: Pick<SchemaRegistry, 'byId' | 'latest'>;
  /** Whose newest version values of Avro are read as; they are read as they were written when left out. */
  readonly readAs?: string | undefined;
  readonly limits: WireLimits;
}

type ReadValue = (body: Uint8Array) => Json;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Reads values in the wire format. What cannot be read is a fault of that message alone; a registry that does not answer is one of all, which come again.
 *
 * @example await new WireReader({ registry, limits }).unpack(messages) // with `unpacked: { json: { total: 1.5 } }`
 */
export class WireReader {
  readonly #settings: ReaderSettings;
  /** By the id of the writer's schema and of the reader's: neither changes. */
  readonly #readers: LRUCache<string, ReadValue>;
  readonly #latest: LatestSchema | undefined;

  constructor(settings: ReaderSettings) {
    this.#settings = settings;
    this.#readers = new LRUCache({ max: settings.limits.bridgeSchemasMax });
    const { registry, readAs, limits } = settings;
    this.#latest = readAs === undefined ? undefined : new LatestSchema(registry, readAs, limits);
  }

  /** @throws AiosError `bridges.registry_unreachable`, `bridges.registry_refused`, `bridges.schema_missing` for the one that all are read as */
  async unpack(messages: readonly IncomingMessage[]): Promise<IncomingMessage[]> {
    const readAs = await this.#latest?.schema();
    const readers = new Map<number, ReadValue | string>();
    const unpacked: IncomingMessage[] = [];
    for (const message of messages) {
      // Without a value: what says that the key is gone.
      if (!(message.value instanceof Uint8Array)) unpacked.push(message);
      else unpacked.push({ ...message, unpacked: await this.#read(message.value, readAs, readers) });
    }
    return unpacked;
  }

  /** The keys, as `unpack` reads the values. */
  async unpackKeys(messages: readonly IncomingMessage[]): Promise<IncomingMessage[]> {
    const readers = new Map<number, ReadValue | string>();
    const unpacked: IncomingMessage[] = [];
    for (const message of messages) {
      const { key } = message;
      if (key === undefined) unpacked.push(message);
      else unpacked.push({ ...message, unpackedKey: await this.#read(Buffer.from(key), undefined, readers) });
    }
    return unpacked;
  }

  async #read(
    bytes: Uint8Array,
    readAs: RegisteredSchema | undefined,
    readers: Map<number, ReadValue | string>,
  ): Promise<Unpacked> {
    if (bytes.length < HEADER_BYTES || bytes[0] !== MAGIC)
      return { fault: 'it does not begin with the byte 0 and the id of a schema' };
    const id = Buffer.from(bytes.buffer, bytes.byteOffset).readUInt32BE(1);
    const read = readers.get(id) ?? (await this.#reader(id, readAs));
    readers.set(id, read); // an unknown id is asked for once a batch
    if (typeof read === 'string') return { fault: read };
    try {
      return { json: read(bytes.subarray(HEADER_BYTES)) };
    } catch (error) {
      if (!(error instanceof AvroFault)) throw error;
      const place = error.path ? `${error.path}: ` : '';
      return { fault: `by the schema ${id}: ${place}${error.message}` };
    }
  }

  /** @returns a text that says why there is none */
  async #reader(id: number, readAs: RegisteredSchema | undefined): Promise<ReadValue | string> {
    const key = `${id} ${readAs?.id ?? ''}`;
    const known = this.#readers.get(key);
    if (known) return known;
    try {
      const found = await this.#settings.registry.byId(id);
      if (!found) return `no schema of the registry has the id ${id}`;
      const made = this.#readerOf(found, readAs);
      if (typeof made !== 'string') this.#readers.set(key, made);
      return made;
    } catch (error) {
      if (error instanceof AiosError && NO_SCHEMA.includes(error.code))
        return `the schema ${id}: ${error.message}`;
      throw error;
    }
  }

  #readerOf(
    { id, type, schema }: RegisteredSchema,
    readAs: RegisteredSchema | undefined,
  ): ReadValue | string {
    const { eventBytesMax: jsonBytesMax, jsonDepthMax: depthMax } = this.#settings.limits;
    if (type === 'JSON') return jsonValue;
    if (type !== 'AVRO') return `the schema ${id} is of type ${type}, which is not read: AVRO and JSON are`;
    const reader = readAs?.type === 'AVRO' ? parsedAvro(readAs.schema, depthMax) : undefined;
    const read = avroReader(parsedAvro(schema, depthMax), reader);
    return (body) => read(body, { jsonBytesMax, depthMax });
  }
}

function jsonValue(body: Uint8Array): Json {
  try {
    return exactJson(utf8.decode(body));
  } catch (error) {
    throw new AvroFault(`no JSON: ${(error as Error).message}`);
  }
}

/** @throws AiosError `definition.invalid`, `request.too_deep` */
export function parsedAvro(schema: Json, depthMax: number): AvroType {
  requireDepth(schema, depthMax);
  return parseAvro(schema);
}
