import type { LogPosition } from '../../kernel/cloudevent.ts';
import { blankOf, isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import type { CallPrimitive, Pin } from './primitive.ts';

/** What this primitive needs of the feature store. */
export interface FeaturesPort {
  online(request: {
    service: string;
    entities: readonly JsonObject[];
    /** The vector is as of this place: what came before it in the log and in time, and nothing else. */
    asOf: { timeMs: number; position?: LogPosition };
    request?: JsonObject;
  }): Promise<{ names: readonly string[]; rows: readonly (readonly Json[])[]; pins: readonly Pin[] }>;
}

/** Objects without values, by the names of their members: those of a service are the same list each time. */
const blanks = new WeakMap<readonly string[], ReturnType<typeof blankOf>>();

/**
 * `call: features:1@default`: the features of one entity, or of many, as of the event that started the run.
 *
 * Output: with `entity`, an object of feature name to value; with `entities`, a list of such objects in their order.
 */
export function featuresPrimitive(features: FeaturesPort): CallPrimitive {
  return {
    name: 'features',
    version: 1,
    kind: 'pure',
    inputSchema: {
      type: 'object',
      properties: {
        service: { type: 'string', description: 'a feature service' },
        entity: { type: 'object', description: 'the join keys of one entity' },
        entities: {
          type: 'array',
          items: { type: 'object' },
          description: 'the join keys of many, each with values of the request that are its own',
        },
        request: { type: 'object', description: 'values that only the request knows' },
      },
      required: ['service'],
      oneOf: [{ required: ['entity'] }, { required: ['entities'] }],
      additionalProperties: false,
    },
    async run(input, { event, nowMs }) {
      const { service, entity, entities, request } = input;
      const asOf = event
        ? { timeMs: event.timeMs, position: { partition: event.partition, offset: event.offset } }
        : { timeMs: nowMs };
      const { names, rows, pins } = await features.online({
        service: service as string,
        entities: (entity === undefined ? entities : [entity]) as JsonObject[],
        asOf,
        ...(isObject(request) ? { request } : {}),
      });
      let blank = blanks.get(names);
      if (!blank) {
        blank = blankOf(names);
        blanks.set(names, blank);
      }
      const objects = rows.map((row) => objectOf(blank, names, row));
      return { output: entity === undefined ? objects : (objects[0] ?? {}), pins };
    },
  };
}

function objectOf(
  blank: { [name: string]: undefined },
  names: readonly string[],
  row: readonly Json[],
): JsonObject {
  const values: { [name: string]: Json | undefined } = { ...blank };
  for (let i = 0; i < names.length; i++) values[names[i]!] = row[i] ?? null;
  return values as JsonObject;
}
