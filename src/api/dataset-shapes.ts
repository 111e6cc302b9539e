import { Type } from 'typebox';
import type { DatasetBuild } from '../features/datasets/dataset-builds.ts';
import type { DatasetVersion } from '../features/datasets/dataset-version.ts';
import type { Definition } from '../store/definitions.ts';
import { LEASED_PASS, leasedPassToJson } from './pass-shapes.ts';
import { AnyObject, iso, isoOrUndefined } from './shapes.ts';

const Column = Type.Object({
  name: Type.String(),
  type: Type.String({ enum: ['boolean', 'int64', 'float64', 'string', 'timestamp', 'json'] }),
  role: Type.String({ enum: ['key', 'timestamp', 'value', 'label', 'feature', 'split'] }),
});
const Time = Type.String({ format: 'date-time' });

export const VersionShape = Type.Object({
  dataset: Type.String(),
  version: Type.Integer(),
  definitionVersion: Type.Integer(),
  digest: Type.String({ description: 'SHA-256 of the Parquet file' }),
  sizeBytes: Type.Integer(),
  rows: Type.Integer(),
  columns: Type.Array(Column),
  query: AnyObject,
  profile: Type.Record(Type.String(), AnyObject),
  parts: Type.Union([Type.Record(Type.String(), Type.Integer()), Type.Null()]),
  models: Type.Array(Type.Object({ name: Type.String(), version: Type.Integer() })),
  createdAt: Time,
  createdBy: Type.String(),
  deletedAt: Type.Optional(Time),
  deletedBy: Type.Optional(Type.String()),
});

export const BuildShape = Type.Object({
  ...LEASED_PASS,
  dataset: Type.String(),
  definitionVersion: Type.Integer(),
  version: Type.Optional(
    Type.Integer({ description: 'The version that was built, or the existing one with the same content' }),
  ),
  isNew: Type.Optional(Type.Boolean({ description: 'false: a version with this content already existed' })),
});

/** A build, with the version once it is there. */
export const AnswerShape = Type.Object({ ...BuildShape.properties, made: Type.Optional(VersionShape) });

export const DatasetShape = Type.Object({
  name: Type.String(),
  definitionVersion: Type.Integer(),
  definition: AnyObject,
  newest: Type.Optional(VersionShape),
});

const span = Type.Array(Type.Union([Type.Number(), Type.Null()]));
const side = Type.Object({ version: Type.Integer(), rows: Type.Integer() });
export const DiffShape = Type.Object({
  dataset: Type.String(),
  from: side,
  to: side,
  schema: Type.Object({
    added: Type.Array(Column),
    removed: Type.Array(Column),
    changed: Type.Array(Type.Object({ from: Column, to: Column })),
  }),
  rows: Type.Object({
    added: Type.Integer(),
    removed: Type.Integer(),
    changed: Type.Integer(),
    unchanged: Type.Integer(),
    columns: Type.Record(Type.String(), Type.Integer()),
    examples: Type.Array(
      Type.Object({ change: Type.String(), key: AnyObject, columns: Type.Optional(AnyObject) }),
    ),
  }),
  shifts: Type.Array(
    Type.Object({
      column: Type.String(),
      psi: Type.Union([Type.Number(), Type.Null()]),
      nullShare: span,
      distinct: span,
      mean: Type.Optional(span),
    }),
  ),
});

export function versionToJson({ createdAt, deletedAt, deletedBy, ...version }: DatasetVersion) {
  const gone = isoOrUndefined(deletedAt);
  return {
    ...version,
    createdAt: iso(createdAt),
    ...(gone === undefined ? {} : { deletedAt: gone, deletedBy }),
  };
}

export function datasetToJson({ name, version, body }: Definition, newest: DatasetVersion | undefined) {
  return {
    name,
    definitionVersion: version,
    definition: body,
    ...(newest ? { newest: versionToJson(newest) } : {}),
  };
}

export function buildToJson(build: DatasetBuild) {
  const { dataset, definitionVersion, version, isNew } = build;
  return {
    ...leasedPassToJson(build),
    dataset,
    definitionVersion,
    ...(version === null ? {} : { version }),
    ...(isNew === null ? {} : { isNew }),
  };
}
