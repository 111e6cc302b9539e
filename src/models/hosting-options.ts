interface WarmUpTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: readonly (number | boolean | string)[];
}

/** How the replicas of a model and the queue before them are held: docs/serving.md. */
export interface HostingOptions {
  /** A fixed number, or bounds between which the queue delay decides; `min: 0` holds none while nobody asks. */
  readonly replicas: number | { readonly min: number; readonly max: number; readonly queueDelayMs?: number };
  /** Inside one run of one replica; 1 when left out. */
  readonly threads?: number;
  readonly placement?: 'cpu' | 'gpu' | 'gpu-preferred';
  readonly batchMax: number;
  /** Instead of the size that is measured at warm-up. */
  readonly batch?: { readonly max?: number; readonly off?: boolean; readonly delayUs?: number };
  /** Run before a replica takes traffic, instead of zeros and ones. */
  readonly warmUp?: { readonly inputs: readonly WarmUpTensor[] };
  readonly timeoutMs: number;
  readonly queueMax: number;
  readonly queueBytesMax?: number;
}

const whole = { type: 'integer', minimum: 1 };
const REPLICAS_MAX = 64;
/** JSON Schema of `HostingOptions`, property by property. */
export const HOSTING_SCHEMA = {
  replicas: {
    anyOf: [
      { ...whole, maximum: REPLICAS_MAX },
      {
        type: 'object',
        additionalProperties: false,
        required: ['min', 'max'],
        properties: {
          min: { type: 'integer', minimum: 0, maximum: REPLICAS_MAX },
          max: { ...whole, maximum: REPLICAS_MAX },
          queueDelayMs: { type: 'number', exclusiveMinimum: 0 },
        },
      },
    ],
  },
  threads: { ...whole, maximum: 256 },
  placement: { enum: ['cpu', 'gpu', 'gpu-preferred'] },
  batchMax: { ...whole, maximum: 4096 },
  batch: {
    type: 'object',
    additionalProperties: false,
    properties: {
      max: { ...whole, maximum: 4096 },
      off: { type: 'boolean' },
      delayUs: { type: 'integer', minimum: 0, maximum: 1_000_000 },
    },
  },
  warmUp: {
    type: 'object',
    additionalProperties: false,
    required: ['inputs'],
    properties: {
      inputs: {
        type: 'array',
        minItems: 1,
        items: {
          type: 'object',
          additionalProperties: false,
          required: ['name', 'shape', 'data'],
          properties: {
            name: { type: 'string', minLength: 1 },
            shape: { type: 'array', items: whole },
            data: { type: 'array', items: { type: ['number', 'boolean', 'string'] } },
          },
        },
      },
    },
  },
  timeoutMs: whole,
  queueMax: whole,
  queueBytesMax: whole,
};
