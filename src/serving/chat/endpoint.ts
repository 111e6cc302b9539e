import { AiosError } from '../../kernel/errors.ts';
import type { JsonObject } from '../../kernel/json.ts';
import { compileSchema } from '../../kernel/schema.ts';

/** What a million tokens cost, in dollars (so a token costs as many millionths). Cached input costs as other input when left out. */
export interface Prices {
  readonly inputUsdPerMillion?: number;
  readonly cachedInputUsdPerMillion?: number;
  readonly outputUsdPerMillion?: number;
}

/** A model at an OpenAI-compatible server. */
export interface Target {
  /** With its path, mostly `…/v1`, no slash at the end; a query (`?api-version=…`) goes with each request. */
  readonly url: string;
  /** As the server calls it. */
  readonly model: string;
  /** The name of the secret that is sent as `Authorization: Bearer`. */
  readonly secret?: string;
  /** `${secrets.NAME}` in a value is the secret. */
  readonly headers: Readonly<Record<string, string>>;
  /** To the whole answer, of a stream to its first event. */
  readonly timeoutMs: number;
  /** Between two events of a stream. */
  readonly idleMs: number;
  /** Share of the calls among the targets that are not fallbacks. */
  readonly weight: number;
  readonly prices: Prices;
  /** False for a server that refuses `stream_options`: usage is then estimated. */
  readonly streamUsage: boolean;
}

/** Another model of the registry, `name` or `name@alias`. */
export interface RegisteredTarget {
  readonly registered: string;
}

export type Fallback = Target | RegisteredTarget;

/** What a version with the runtime `openai` says: where it is asked, and how. */
export interface LanguageModel {
  readonly task: 'chat' | 'embeddings';
  /** Asked by weight. */
  readonly targets: readonly [Target, ...Target[]];
  /** Asked in this order when no target gives an answer. */
  readonly fallbacks: readonly Fallback[];
  /** How many more times all of them are gone through. */
  readonly retries: number;
  readonly concurrencyMax: number;
  readonly queueMax: number;
  /** Of one choice; a call that asks for more gets this. */
  readonly outputTokensMax?: number;
  /** Inputs of one request for embeddings; more are asked for in parts. */
  readonly batchMax: number;
  /** How often a model is told of its faults when it does not keep to `response_format`. */
  readonly repairs: number;
  /** Undefined: answers at temperature 0 are kept for `chatCacheMs`. False: none. */
  readonly cache?: false | { readonly ttlMs: number };
}

const whole = { type: 'integer', minimum: 1 };
const amount = { type: 'number', minimum: 0 };
const target = {
  url: { type: 'string', pattern: '^https?://[^\\s]+$' },
  model: { type: 'string', minLength: 1, maxLength: 300 },
  secret: { type: 'string', pattern: '^[A-Z][A-Z0-9_]*$' },
  headers: { type: 'object', additionalProperties: { type: 'string', maxLength: 4096 }, maxProperties: 32 },
  timeoutMs: whole,
  idleMs: whole,
  weight: { type: 'number', exclusiveMinimum: 0 },
  prices: {
    type: 'object',
    additionalProperties: false,
    properties: { inputUsdPerMillion: amount, cachedInputUsdPerMillion: amount, outputUsdPerMillion: amount },
  },
  streamUsage: { type: 'boolean' },
};
const other = {
  type: 'object',
  additionalProperties: false,
  required: ['url', 'model'],
  properties: target,
};

/** JSON Schema of the `endpoint` of a model definition with the runtime `openai`. */
export const OPENAI_ENDPOINT_SCHEMA = {
  type: 'object',
  additionalProperties: false,
  required: ['url', 'model'],
  properties: {
    ...target,
    task: { enum: ['chat', 'embeddings'] },
    alternatives: { type: 'array', items: other, maxItems: 16 },
    fallbacks: {
      type: 'array',
      maxItems: 16,
      items: {
        anyOf: [
          other,
          {
            type: 'object',
            additionalProperties: false,
            required: ['registered'],
            properties: { registered: { type: 'string', minLength: 1 } },
          },
        ],
      },
    },
    retries: { type: 'integer', minimum: 0, maximum: 10 },
    concurrencyMax: { ...whole, maximum: 10_000 },
    queueMax: { type: 'integer', minimum: 0 },
    outputTokensMax: whole,
    batchMax: whole,
    repairs: { type: 'integer', minimum: 0, maximum: 3 },
    cache: {
      anyOf: [
        { const: false },
        { type: 'object', additionalProperties: false, required: ['ttlMs'], properties: { ttlMs: whole } },
      ],
    },
  },
} as unknown as JsonObject;

const TIMEOUT_MS = 120_000;
const IDLE_MS = 60_000;
const RETRIES = 1;
const CONCURRENCY = 64;
const QUEUE = 256;
const REPAIRS = 1;
const BATCH = 2_048; // OpenAI's own bound

const validate = compileSchema(OPENAI_ENDPOINT_SCHEMA);
const parsed = new WeakMap<JsonObject, LanguageModel>();

type Declared = Partial<Omit<Target, 'url' | 'model'>> & { url: string; model: string };
type DeclaredModel = Declared &
  Partial<Omit<LanguageModel, 'targets' | 'fallbacks'>> & {
    alternatives?: Declared[];
    fallbacks?: (Declared | RegisteredTarget)[];
  };

/**
 * The endpoint of a version, with its defaults; the same object gives the same result.
 *
 * @throws AiosError `definition.invalid`
 * @example parseEndpoint({ url: 'http://127.0.0.1:8000/v1', model: 'qwen2.5-7b' }).targets[0].weight // 1
 */
export function parseEndpoint(endpoint: JsonObject): LanguageModel {
  const known = parsed.get(endpoint);
  if (known) return known;
  const issues = validate(endpoint);
  if (issues.length > 0)
    throw new AiosError('definition.invalid', {
      issues: issues.map((issue) => ({ ...issue, path: `/endpoint${issue.path}` })),
    });
  const declared = endpoint as unknown as DeclaredModel;
  const { task = 'chat', alternatives = [], fallbacks = [], outputTokensMax, cache, prices = {} } = declared;
  // The prices of the first hold for those that name none: mostly the same model on another machine.
  const complete = (one: Declared) => targetOf(one, prices);
  const model: LanguageModel = {
    task,
    targets: [complete(declared), ...alternatives.map(complete)],
    fallbacks: fallbacks.map((one) => ('registered' in one ? one : complete(one))),
    retries: declared.retries ?? RETRIES,
    concurrencyMax: declared.concurrencyMax ?? CONCURRENCY,
    queueMax: declared.queueMax ?? QUEUE,
    batchMax: declared.batchMax ?? BATCH,
    repairs: declared.repairs ?? REPAIRS,
    ...(outputTokensMax === undefined ? {} : { outputTokensMax }),
    ...(cache === undefined ? {} : { cache }),
  };
  parsed.set(endpoint, model);
  return model;
}

function targetOf(declared: Declared, prices: Prices): Target {
  const { url, model, secret } = declared;
  return {
    url: url.replace(/\/+$/, ''),
    model,
    ...(secret === undefined ? {} : { secret }),
    headers: declared.headers ?? {},
    timeoutMs: declared.timeoutMs ?? TIMEOUT_MS,
    idleMs: declared.idleMs ?? IDLE_MS,
    weight: declared.weight ?? 1,
    prices: declared.prices ?? prices,
    streamUsage: declared.streamUsage ?? true,
  };
}
