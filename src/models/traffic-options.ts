import type { Json } from '../kernel/json.ts';

/** What stands around the calls of a model (`serving:` in its definition); each part is off where it is not named. */
export interface TrafficOptions {
  readonly cache?: { ttlMs: number; entriesMax?: number; bytesMax?: number };
  readonly breaker?: {
    errorRate: number;
    slowMs?: number;
    slowRate?: number;
    windowMs?: number;
    callsMin?: number;
    openMs?: number;
    probes?: number;
  };
  readonly fallback?: readonly (
    | { ref: string | number }
    | { model: string; ref?: string | number }
    | { default: { outputs?: Record<string, Json>; results?: Record<string, Json> } }
  )[];
  readonly rateLimit?: { perSecond: number; burst?: number };
  readonly log?: { sample: number; redact?: readonly string[] };
}

const count = { type: 'integer', minimum: 1 };
const part = { type: 'number', minimum: 0, maximum: 1 };
const reference = { anyOf: [{ type: 'string', minLength: 1 }, count] };
const shape = (required: readonly string[], properties: object) => ({
  type: 'object',
  additionalProperties: false,
  required,
  properties,
});

/** Members of `serving` in the JSON Schema of a model definition. */
export const TRAFFIC_SCHEMA = {
  cache: shape(['ttlMs'], { ttlMs: count, entriesMax: count, bytesMax: count }),
  breaker: shape(['errorRate'], {
    errorRate: part,
    slowMs: count,
    slowRate: part,
    windowMs: { type: 'integer', minimum: 10 },
    callsMin: count,
    openMs: count,
    probes: count,
  }),
  fallback: {
    type: 'array',
    maxItems: 8,
    items: {
      anyOf: [
        shape(['ref'], { ref: reference }),
        shape(['model'], { model: { type: 'string', minLength: 1 }, ref: reference }),
        shape(['default'], {
          default: {
            ...shape([], { outputs: { type: 'object' }, results: { type: 'object' } }),
            minProperties: 1,
          },
        }),
      ],
    },
  },
  rateLimit: shape(['perSecond'], {
    perSecond: { type: 'number', exclusiveMinimum: 0 },
    burst: count,
  }),
  log: shape(['sample'], { sample: part, redact: { type: 'array', items: { type: 'string' } } }),
};
