import type { AvroMismatchCode } from '../kernel/avro/avro-resolution.ts';
import { explain, type FindingCode, type Refused } from './inclusion/finding.ts';
import { inclusionFindings } from './inclusion/inclusion.ts';
import { type Schema, SchemaDocument } from './inclusion/node.ts';

/** Confluent's names (docs.confluent.io, "Schema Evolution and Compatibility"). */
export const MODES = [
  'BACKWARD',
  'BACKWARD_TRANSITIVE',
  'FORWARD',
  'FORWARD_TRANSITIVE',
  'FULL',
  'FULL_TRANSITIVE',
  'NONE',
] as const;
export type CompatibilityMode = (typeof MODES)[number];

/**
 * What an object is taken to hold besides its declared properties, where its schema lets others in. `declared`: none, so that an optional
 * property may come. `open`: anything, as the schema says and as Confluent's registry has it: a new property then breaks BACKWARD
 * (`PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL`), as the data so far may hold something else under its name.
 */
export const CONTENT_MODELS = ['declared', 'open'] as const;
export type ContentModel = (typeof CONTENT_MODELS)[number];

/** Why a version breaks its promise towards another one. */
export interface Finding {
  /** Stable; the names of Confluent's registry where it has one. */
  code: FindingCode | AvroMismatchCode | 'SCHEMA_TYPE_CHANGED';
  /** `backward`: the new version refuses data of the old one; `forward`: the old one refuses data of the new one. */
  direction: 'backward' | 'forward';
  /** JSON Pointer in the version that refuses (the new one when backward) and in the one whose data it refuses. */
  path: string;
  otherPath: string;
  message: string;
  /** What to do instead. */
  hint: string;
  /** False: not shown to be compatible, which counts as incompatible. */
  isCertain: boolean;
}

/**
 * Where `next` breaks the promise of a mode towards `previous`: BACKWARD, that it reads what fitted the previous one; FORWARD, that the previous one
 * reads what fits the new one; FULL both. None when it keeps it. Decided by the meaning of the schemas (JSON Schema 2020-12): another
 * wording is no finding.
 *
 * @example compatibilityFindings('BACKWARD', { type: 'number' }, { type: 'integer' }) // [{ code: 'TYPE_NARROWED', path: '/type', … }]
 */
export function compatibilityFindings(
  mode: CompatibilityMode,
  previous: Schema,
  next: Schema,
  contentModel: ContentModel = 'declared',
): Finding[] {
  const isLenient = contentModel === 'declared';
  const [older, newer] = [new SchemaDocument(previous).root, new SchemaDocument(next).root];
  return directionsOf(mode).flatMap((direction) => {
    const [writer, reader] = direction === 'backward' ? [older, newer] : [newer, older];
    return inclusionFindings(writer, reader, isLenient).map((found) => toFinding(found, direction));
  });
}

/** In which directions a mode promises something. */
export function directionsOf(mode: CompatibilityMode): Finding['direction'][] {
  return [
    ...(/^(BACKWARD|FULL)/.test(mode) ? (['backward'] as const) : []),
    ...(/^(FORWARD|FULL)/.test(mode) ? (['forward'] as const) : []),
  ];
}

/** What is wrong, with whose data it is. */
export function findingMessage(direction: Finding['direction'], what: string): string {
  const whose =
    direction === 'backward' ? 'of the previous version' : 'of the new version, read with the previous one';
  return `Data ${whose}: ${what}.`;
}

/** Whether two schemas allow the same values, as far as that can be shown. */
export function isSameMeaning(a: Schema, b: Schema): boolean {
  return compatibilityFindings('FULL', a, b, 'open').length === 0;
}

function toFinding(
  { code, reader, writer, keyword, message }: Refused,
  direction: Finding['direction'],
): Finding {
  return {
    code,
    direction,
    path: keyword ? `${reader.pointer}/${keyword}` : reader.pointer,
    otherPath: writer?.pointer ?? '',
    message: findingMessage(direction, message),
    ...explain(code),
  };
}
