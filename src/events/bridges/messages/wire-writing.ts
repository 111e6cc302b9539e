import { LRUCache } from 'lru-cache';
import { AvroFault } from '../../../kernel/avro/avro-bytes.ts';
import { avroBytes } from '../../../kernel/avro/avro-writing.ts';
import { AiosError } from '../../../kernel/errors.ts';
import { isObject, type Json } from '../../../kernel/json.ts';
import type { SchemaRegistry, ValueSchema } from '../port/schema-registry.ts';
import { LatestSchema } from './latest-schema.ts';
import { parsedAvro, type WireLimits, wireHeader } from './wire-format.ts';

/** A value in the wire format. @throws AiosError `bridges.value_unfit` */
type WriteValue = (data: Json | undefined) => Buffer;

interface WriterSettings {
  readonly registry: SchemaRegistry;
  /** The schema of a type's contract; nothing where the type has none. */
  contractSchema(type: string): ValueSchema | undefined;
  /** The subject of events of a type. @param record what their schema calls a value */
  subjectOf(record: string): string;
  /** Whether values are written by the schema of their contract, which becomes a version of the subject; by the newest version of the subject when false. */
  readonly registers: boolean;
  readonly limits: WireLimits;
}

/** By which schema a subject is written. */
interface Known {
  readonly id: number;
  /** The schema as a text. */
  readonly text: string;
  readonly write: WriteValue;
}

/**
 * Writes values in the wire format: by the newest version of their subject, or by their contracts, which it registers.
 *
 * @example (await new WireWriter({ registry, contractSchema, subjectOf: () => 'orders-value', registers: false, limits }).writer('order.placed'))({ total: 1.5 }) // <Buffer 00 00 00 00 07 …>
 */
export class WireWriter {
  readonly #settings: WriterSettings;
  /** By type. */
  readonly #known: LRUCache<string, Known>;
  /** By subject. */
  readonly #latest: LRUCache<string, LatestSchema>;

  constructor(settings: WriterSettings) {
    this.#settings = settings;
    const { bridgeSchemasMax: max } = settings.limits;
    this.#known = new LRUCache({ max });
    this.#latest = new LRUCache({ max });
  }

  /**
   * What writes events of a type.
   *
   * @throws AiosError `bridges.registry_unreachable`, `bridges.registry_refused`, `bridges.schema_missing`, `bridges.schema_refused`
   */
  async writer(type: string): Promise<WriteValue> {
    const { contractSchema, subjectOf, registers, limits } = this.#settings;
    const schema = contractSchema(type);
    const subject = subjectOf((schema && recordName(schema, limits)) ?? type);
    const known = registers
      ? await this.#registered(type, subject, schema)
      : await this.#newest(type, subject);
    this.#known.set(type, known);
    return known.write;
  }

  /** Asked of the registry once for each schema of a contract. */
  async #registered(type: string, subject: string, schema: ValueSchema | undefined): Promise<Known> {
    if (schema === undefined)
      throw new AiosError('bridges.schema_missing', {
        detail: `There is no contract “${type}”, whose schema could be registered.`,
      });
    const text = JSON.stringify(schema);
    const known = this.#known.get(type);
    if (known?.text === text) return known;
    const id = await this.#settings.registry.register(subject, schema);
    return { id, text, write: this.#writeOf(id, schema) };
  }

  async #newest(type: string, subject: string): Promise<Known> {
    const { registry, limits } = this.#settings;
    const latest = this.#latest.get(subject) ?? new LatestSchema(registry, subject, limits);
    this.#latest.set(subject, latest);
    const schema = await latest.schema();
    const known = this.#known.get(type);
    if (known?.id === schema.id) return known;
    return { id: schema.id, text: '', write: this.#writeOf(schema.id, schema) };
  }

  #writeOf(id: number, { type, schema }: ValueSchema): WriteValue {
    const header = wireHeader(id);
    if (type === 'JSON')
      return (data) => Buffer.concat([header, Buffer.from(JSON.stringify(required(data)))]);
    if (type !== 'AVRO')
      throw new AiosError('bridges.schema_missing', {
        detail: `The schema ${id} is of type ${type}, which is not written: AVRO and JSON are.`,
      });
    const avro = parsedAvro(schema, this.#settings.limits.jsonDepthMax);
    return (data) => {
      try {
        return Buffer.concat([header, avroBytes(avro, required(data))]);
      } catch (error) {
        if (!(error instanceof AvroFault)) throw error;
        const detail = `By the schema ${id}: /data${error.path}: ${error.message}.`;
        throw new AiosError('bridges.value_unfit', { detail, cause: error });
      }
    };
  }
}

/** What serializers call a value: the full name of a named type of Avro, the title of a JSON Schema. */
function recordName({ type, schema }: ValueSchema, { jsonDepthMax }: WireLimits): string | undefined {
  if (type === 'JSON') return isObject(schema) && typeof schema.title === 'string' ? schema.title : undefined;
  const avro = parsedAvro(schema, jsonDepthMax);
  return 'name' in avro ? avro.name : undefined;
}

function required(data: Json | undefined): Json {
  if (data !== undefined) return data;
  throw new AiosError('bridges.value_unfit', { detail: 'The event has no `data`.' });
}
