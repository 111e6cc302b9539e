import type { Json } from '../json.ts';
import { type AvroBounds, AvroBytes } from './avro-bytes.ts';
import { resolveAvro } from './avro-resolution.ts';
import type { AvroType } from './avro-type.ts';

/**
 * A reader of bytes that were written with one schema, as another one has them, or as the first has them itself (Avro 1.12, "Schema Resolution").
 *
 * Values are JSON: a union is the value of its branch; bytes are base64; a long past ±(2⁵³−1) is the text of its digits; NaN and the infinities are texts; logical types as
 * `avro-logical.ts` says.
 *
 * @param reader nothing for the writer's own
 * @returns throws AvroFault for bytes that are none of it
 * @example avroReader(parseAvro('long'))(Buffer.from([2]), { jsonBytesMax: 100, depthMax: 8 }) // 1
 */
export function avroReader(
  writer: AvroType,
  reader: AvroType = writer,
): (bytes: Uint8Array, bounds: AvroBounds) => Json {
  const read = resolveAvro(writer, reader).read;
  return (bytes, bounds) => {
    const from = new AvroBytes(bytes, bounds);
    const value = read(from);
    from.end();
    return value;
  };
}
