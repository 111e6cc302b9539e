import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { addFormats } from '../../src/kernel/formats.ts';
import { isObject, type Json, type JsonObject } from '../../src/kernel/json.ts';

const FOLDER = join(import.meta.dirname, 'official');
const read = (file: string) => JSON.parse(readFileSync(join(FOLDER, file), 'utf8')) as JsonObject;
const CORE = read('OpenLineage.json');
/** The official schemas of facets by the name of their definition, `JobTypeJobFacet`. */
const FACETS = new Map(
  readdirSync(FOLDER)
    .filter((file) => file.endsWith('Facet.json'))
    .map((file) => [file.slice(0, -'.json'.length), read(file)]),
);

// They carry examples, which the strict mode of the validator refuses.
const ajv = addFormats(new Ajv2020({ allErrors: true, strict: false }));
for (const schema of [CORE, ...FACETS.values()]) ajv.addSchema(schema);

/** The facets that are held to an official schema. */
export const OFFICIAL_FACETS: readonly string[] = [...FACETS.keys()];

/**
 * What in an event the official schemas refuse: the core schema, and that of each facet that is here, in whichever version.
 *
 * @example officialFaults({ schemaURL: 'https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/JobEvent' }) // ["/: must have required property 'eventTime'", …]
 */
export function officialFaults(event: Json): string[] {
  const faults = faultsIn(event, `${String(CORE.$id)}#/$defs/${definitionOf(event, 'schemaURL')}`, '');
  for (const [path, facet] of facetsIn(event)) {
    const name = definitionOf(facet, '_schemaURL');
    const schema = FACETS.get(name);
    if (schema) faults.push(...faultsIn(facet, `${String(schema.$id)}#/$defs/${name}`, path));
  }
  return faults;
}

/** The name of the definition that the address of a schema ends with. */
function definitionOf(of: Json, member: 'schemaURL' | '_schemaURL'): string {
  const url = isObject(of) ? String(of[member]) : '';
  return url.slice(url.lastIndexOf('/') + 1);
}

function faultsIn(value: Json, schema: string, path: string): string[] {
  const validate = ajv.getSchema(schema);
  if (!validate) return [`${path}/: ${schema} is not of the specification`];
  if (validate(value)) return [];
  return (validate.errors ?? []).map(
    ({ instancePath, message }) => `${path}${instancePath || '/'}: ${message}`,
  );
}

/** All that stands under `facets`, `inputFacets` or `outputFacets`, with its place. */
function facetsIn(value: Json, path = ''): [string, Json][] {
  if (Array.isArray(value)) return value.flatMap((item, at) => facetsIn(item, `${path}/${at}`));
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([name, member]): [string, Json][] =>
    /^(input|output)?facets$/i.test(name) && isObject(member)
      ? Object.entries(member).map(([key, facet]) => [`${path}/${name}/${key}`, facet])
      : facetsIn(member, `${path}/${name}`),
  );
}
