import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';

/** A resource as it is kept with the flow that names it: its digest, and of it what the flow needs. */
export type Resource = { digest: string } & ({ text: string } | { operation: JsonObject });

/** What was kept of a resource. */
export function keptResource(body: JsonObject, key: string): Resource | undefined {
  const kept = resourcesOf(body);
  return Object.hasOwn(kept, key) ? (kept[key] as Resource) : undefined;
}

/** The definition as its author wrote it. */
export function withoutResources(body: JsonObject): JsonObject {
  if (Object.keys(resourcesOf(body)).length === 0) return body;
  return withMetadata(body, undefined);
}

/** Under which a document's operation is kept. */
export function keyOf(endpoint: Json, operation: string): string {
  return `${uriOf(endpoint)}#${operation}`;
}

export function uriOf(endpoint: Json | undefined): string {
  return isObject(endpoint) ? String(endpoint.uri) : String(endpoint);
}

function resourcesOf(body: JsonObject): JsonObject {
  const metadata = isObject(body.document) ? body.document.metadata : undefined;
  const aios = isObject(metadata) ? metadata.aios : undefined;
  return isObject(aios) && isObject(aios.resources) ? aios.resources : {};
}

/** The definition with these resources, or with none. */
export function withMetadata(body: JsonObject, resources: JsonObject | undefined): JsonObject {
  const { metadata, ...document } = isObject(body.document) ? body.document : {};
  const { aios, ...others } = isObject(metadata) ? metadata : {};
  const { resources: _, ...own } = isObject(aios) ? aios : {};
  const kept = resources ? { ...own, resources } : own;
  const all = Object.keys(kept).length === 0 ? others : { ...others, aios: kept };
  return { ...body, document: Object.keys(all).length === 0 ? document : { ...document, metadata: all } };
}
