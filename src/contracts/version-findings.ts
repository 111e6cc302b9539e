import { type AvroMismatch, type AvroMismatchCode, resolveAvro } from '../kernel/avro/avro-resolution.ts';
import { parseAvro } from '../kernel/avro/avro-schema.ts';
import type { Json } from '../kernel/json.ts';
import type { SchemaOf } from './avro-contract.ts';
import {
  type CompatibilityMode,
  type ContentModel,
  compatibilityFindings,
  directionsOf,
  type Finding,
  findingMessage,
} from './compatibility.ts';

/** What to do instead; the names are those of Avro's own check where it has one. */
const HINTS: Record<AvroMismatchCode, string> = {
  NAME_MISMATCH: 'Keep the name, or give the new one the old one as an alias.',
  FIXED_SIZE_MISMATCH: 'Keep the size, or add a field of another name.',
  MISSING_ENUM_SYMBOLS: 'Keep the symbols, or give the enum a default from the beginning.',
  READER_FIELD_MISSING_DEFAULT_VALUE: 'Give the field a default.',
  TYPE_MISMATCH: 'Keep the type or take a wider one, or add a field of another name.',
  MISSING_UNION_BRANCH: 'Keep the branches; only add to them.',
  LOGICAL_TYPE_CHANGED:
    'Keep the logical type: what was written would be read as something else. Add a field of another name.',
  TOO_COMPLEX: 'Split the schema: the comparison gave up.',
};

/**
 * Where a version breaks the promise of a mode towards another one: of two JSON Schemas by what they mean, of two Avro schemas by what a reader with the one makes of what was
 * written with the other. Between the two nothing is compatible: bytes of Avro are no JSON.
 *
 * @example versionFindings('BACKWARD', avroContract('int'), avroContract('long')) // []
 */
export function versionFindings(
  mode: CompatibilityMode,
  previous: SchemaOf,
  next: SchemaOf,
  contentModel?: ContentModel,
): Finding[] {
  if (previous.avro !== undefined && next.avro !== undefined)
    return avroFindings(mode, previous.avro, next.avro);
  if (previous.avro === undefined && next.avro === undefined)
    return compatibilityFindings(mode, previous.schema, next.schema, contentModel);
  return directionsOf(mode).map((direction) => ({
    code: 'SCHEMA_TYPE_CHANGED',
    direction,
    path: '',
    otherPath: '',
    message: findingMessage(direction, next.avro === undefined ? 'Avro is not JSON' : 'JSON is not Avro'),
    hint: 'Publish it as a type of its own.',
    isCertain: true,
  }));
}

function avroFindings(mode: CompatibilityMode, previous: Json, next: Json): Finding[] {
  const [older, newer] = [parseAvro(previous), parseAvro(next)];
  return directionsOf(mode).flatMap((direction) => {
    const [writer, reader] = direction === 'backward' ? [older, newer] : [newer, older];
    return resolveAvro(writer, reader).mismatches.map((found) => toFinding(found, direction));
  });
}

function toFinding(
  { code, reader, writer, message }: AvroMismatch,
  direction: Finding['direction'],
): Finding {
  return {
    ...{ code, direction, path: reader, otherPath: writer },
    message: findingMessage(direction, message),
    hint: HINTS[code],
    isCertain: code !== 'TOO_COMPLEX',
  };
}
