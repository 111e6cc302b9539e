import type { Json, JsonObject } from '../../kernel/json.ts';
import type { ColumnType, DatasetColumn } from './columns.ts';
import type { DatasetBody } from './dataset-kind.ts';
import type { DatasetVersion } from './dataset-version.ts';

/** The context that Croissant 1.0 gives (https://docs.mlcommons.org/croissant/docs/croissant-spec.html, appendix 1), word for word. */
const CONTEXT = {
  '@language': 'en',
  '@vocab': 'https://schema.org/',
  citeAs: 'cr:citeAs',
  column: 'cr:column',
  conformsTo: 'dct:conformsTo',
  cr: 'http://mlcommons.org/croissant/',
  data: { '@id': 'cr:data', '@type': '@json' },
  dataType: { '@id': 'cr:dataType', '@type': '@vocab' },
  dct: 'http://purl.org/dc/terms/',
  examples: { '@id': 'cr:examples', '@type': '@json' },
  extract: 'cr:extract',
  field: 'cr:field',
  fileObject: 'cr:fileObject',
  fileProperty: 'cr:fileProperty',
  fileSet: 'cr:fileSet',
  format: 'cr:format',
  includes: 'cr:includes',
  isLiveDataset: 'cr:isLiveDataset',
  jsonPath: 'cr:jsonPath',
  key: 'cr:key',
  md5: 'cr:md5',
  parentField: 'cr:parentField',
  path: 'cr:path',
  rai: 'http://mlcommons.org/croissant/RAI/',
  recordSet: 'cr:recordSet',
  references: 'cr:references',
  regex: 'cr:regex',
  repeated: 'cr:repeated',
  replace: 'cr:replace',
  sc: 'https://schema.org/',
  separator: 'cr:separator',
  source: 'cr:source',
  subField: 'cr:subField',
  transform: 'cr:transform',
} satisfies JsonObject;

const DATA_TYPES: Readonly<Record<ColumnType, string>> = {
  boolean: 'sc:Boolean',
  int64: 'sc:Integer',
  float64: 'sc:Float',
  string: 'sc:Text',
  timestamp: 'sc:DateTime',
  json: 'sc:Text',
};
const FILE = 'data';
const ROWS = 'rows';

/** What is told of a version beside itself. */
export interface Told {
  readonly body: DatasetBody;
  /** What columns mean, by name, as far as somebody wrote it down. */
  readonly descriptions: ReadonlyMap<string, string>;
  /** Where the Parquet file is: an address, or a path beside the metadata. */
  readonly contentUrl: string;
}

/**
 * A version as Croissant 1.0 (JSON-LD of MLCommons): one file by its SHA-256, one record set of its columns.
 *
 * @example croissantOf(version, { body, descriptions: new Map(), contentUrl: 'data.parquet' }).conformsTo // 'http://mlcommons.org/croissant/1.0'
 */
export function croissantOf(version: DatasetVersion, { body, descriptions, contentUrl }: Told): JsonObject {
  const { dataset, version: number, digest, sizeBytes, columns, createdAt } = version;
  const ids = idsOf(columns);
  const licence = body.licence && licenceUrl(body.licence);
  return {
    '@context': CONTEXT,
    '@type': 'sc:Dataset',
    name: dataset,
    description: body.description ?? `Version ${number} of the dataset ${dataset}.`,
    conformsTo: 'http://mlcommons.org/croissant/1.0',
    ...(licence ? { license: licence } : {}),
    ...(body.owner === undefined ? {} : { creator: { '@type': 'sc:Organization', name: body.owner } }),
    ...(body.intendedUses === undefined ? {} : { 'rai:dataUseCases': [...body.intendedUses] }),
    keywords: Object.entries(body.tags ?? {}).map(([tag, value]) => `${tag}:${value}`),
    citeAs: citationOf(version, body),
    url: contentUrl,
    version: `${number}.0.0`, // a semantic version is what the format asks for; each of ours may differ in any way
    datePublished: new Date(createdAt).toISOString(),
    distribution: [
      {
        '@type': 'cr:FileObject',
        '@id': FILE,
        name: `${dataset}-${number}.parquet`,
        description: 'All rows, ordered by time and keys.',
        contentUrl,
        contentSize: `${sizeBytes} B`,
        encodingFormat: 'application/x-parquet',
        sha256: digest.slice('sha256:'.length),
      },
    ],
    recordSet: [
      {
        '@type': 'cr:RecordSet',
        '@id': ROWS,
        name: ROWS,
        description: `${version.rows} rows, each as of its time.`,
        key: columns.flatMap(({ role }, at) =>
          role === 'key' || role === 'timestamp' ? [{ '@id': ids[at]! }] : [],
        ),
        field: columns.map((column, at) => fieldOf(ids[at]!, column, descriptions.get(column.name))),
      },
    ],
  };
}

/** BibTeX, as Croissant asks for it. */
function citationOf({ dataset, version, digest, createdAt }: DatasetVersion, { owner }: DatasetBody): string {
  const author = owner === undefined ? '' : `, author = {${owner}}`;
  return `@misc{${dataset}-${version}, title = {${dataset}}${author}, year = {${new Date(createdAt).getUTCFullYear()}}, version = {${version}}, note = {${digest}}}`;
}

/** A part of an IRI for each column; what none may hold (spaces, which readers refuse escaped, too) is written `_`. */
function idsOf(columns: readonly DatasetColumn[]): string[] {
  const taken = new Set<string>();
  return columns.map(({ name }) => {
    const plain = `${ROWS}/${name.replace(/[^\p{L}\p{N}._-]/gu, '_')}`;
    let id = plain;
    for (let number = 2; taken.has(id); number++) id = `${plain}_${number}`;
    taken.add(id);
    return id;
  });
}

function fieldOf(
  id: string,
  { name, type, role }: DatasetColumn,
  description: string | undefined,
): JsonObject {
  const dataType: Json = role === 'label' ? [DATA_TYPES[type], 'cr:Label'] : DATA_TYPES[type];
  return {
    '@type': 'cr:Field',
    '@id': id,
    name,
    description: description ?? `A ${role}.`,
    dataType,
    source: { fileObject: { '@id': FILE }, extract: { column: name } },
  };
}

/** @example licenceUrl('CC-BY-4.0') // 'https://spdx.org/licenses/CC-BY-4.0.html' */
function licenceUrl(licence: string): string {
  return /^https?:\/\//.test(licence)
    ? licence
    : `https://spdx.org/licenses/${encodeURIComponent(licence)}.html`;
}
