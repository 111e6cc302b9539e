import { jsonSchemaOfAvro } from '../kernel/avro/avro-json-schema.ts';
import { normalizedAvro } from '../kernel/avro/avro-names.ts';
import { parseAvro } from '../kernel/avro/avro-schema.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import type { ContractBody } from './contract-body.ts';

/** What a version says of data: a JSON Schema, or an Avro schema with the JSON Schema that follows from it. */
export type SchemaOf = Pick<ContractBody, 'schema' | 'avro' | 'references'>;

/**
 * What an Avro schema says of data, as a contract holds it: the schema as it was written, and the JSON Schema of what is read by it, to which events are held however they come.
 *
 * @throws AiosError `definition.invalid` with the place in the Avro schema
 * @example avroContract('string') // { avro: 'string', schema: { type: 'string' } }
 */
export function avroContract(avro: Json): Required<Omit<SchemaOf, 'references'>> {
  return { avro, schema: jsonSchemaOfAvro(parseAvro(avro)) };
}

/** What two versions have in common that say the same in the same words: of Avro with full names, however they were written. */
export function sameSchema({ schema, avro }: SchemaOf): JsonObject {
  return avro === undefined ? { schema } : { avro: normalizedAvro(avro) };
}
