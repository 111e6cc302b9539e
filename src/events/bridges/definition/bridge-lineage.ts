import { LineageBuilder, type LineageReader, nodeId } from '../../../kernel/definition-lineage.ts';
import { isObject, type JsonObject } from '../../../kernel/json.ts';
import type { BridgeDefinition } from './bridge-kind.ts';

/** Settings that name where messages lie, in the words of the protocols. */
const PLACES = [
  'topic',
  'topics',
  'queue',
  'exchange',
  'stream',
  'subject',
  'subjects',
  'path',
  'pattern',
  'folder',
];
/** A type that is written out, rather than computed. */
const LITERAL = /^\s*(["'])([^"']*)\1\s*$/;

/** A bridge: `source → bridge → event-type` for one that brings events in, the other way round for one that takes them out. */
export const bridgeLineage: LineageReader = (body) => {
  const { name, from, to, events, types = [] } = body as unknown as BridgeDefinition;
  const { title: _, description: __, paused: ___, ...meaning } = body;
  const builder = new LineageBuilder();
  const id = builder.node({ id: nodeId('bridge', name), meaning });
  for (const [protocol, settings] of Object.entries(from ?? to ?? {}))
    for (const place of placesOf(settings)) {
      const source = nodeId('source', `${protocol}/${place}`);
      if (from) builder.edge(source, id);
      else builder.edge(id, source);
    }
  const brought = writtenType(events?.type);
  if (from && brought) builder.edge(id, nodeId('event-type', brought));
  if (to) for (const type of types) builder.edge(nodeId('event-type', type), id);
  return builder.done();
};

/** The type that an expression writes out. */
export function writtenType(expression: string | undefined): string | undefined {
  return expression === undefined ? undefined : LITERAL.exec(expression)?.[2];
}

export function placesOf(settings: JsonObject): string[] {
  return PLACES.flatMap((setting) => settings[setting] ?? [])
    .map((place) => (isObject(place) ? place.name : place))
    .filter((place) => typeof place === 'string');
}
