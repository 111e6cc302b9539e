import { locateIssue, type SourceDocument, validateDocument } from '../../kernel/document.ts';
import { type DurationParts, parseDuration } from '../../kernel/duration.ts';
import { AiosError } from '../../kernel/errors.ts';
import type { JsonObject } from '../../kernel/json.ts';
import { compileSchema, DEFINITION_NAME } from '../../kernel/schema.ts';
import type { DefinitionKind } from '../../store/definition-kind.ts';

/** A queue of runs, as its author writes it in `run-queues/<name>.yaml`. */
interface RunQueueDefinition {
  readonly name: string;
  readonly description?: string;
  readonly concurrency?: number;
  readonly perKey?: number;
  readonly perWorker?: number;
  readonly rate?: { readonly limit: number; readonly period: string | DurationParts };
  readonly fairness?: 'none' | 'key';
  readonly weights?: { readonly [key: string]: number };
  readonly ageing?: string | DurationParts;
  readonly hold?: 'working' | 'whole';
}

/** A queue ready for use: which of the runs that wait may begin. Absent bounds are none. */
export interface RunQueue {
  readonly name: string;
  /** Runs that are admitted at once, over all processes. */
  readonly concurrency: number | undefined;
  /** As many of those of one key. */
  readonly perKey: number | undefined;
  /** As many of those in one process. */
  readonly perWorker: number | undefined;
  /** At most `limit` admissions in any `periodMs` of business time. */
  readonly rate: { readonly limit: number; readonly periodMs: number } | undefined;
  /** Keys take turns. */
  readonly fair: boolean;
  /** Turns of a key against one turn of the others; 1 when not named. */
  readonly weights: ReadonlyMap<string, number>;
  /** Milliseconds of waiting that make up for a difference of 100 in priority. */
  readonly ageingMs: number;
  /** A run that waits or is paused keeps its slot. */
  readonly holdsWhileWaiting: boolean;
}

const AGEING = 'PT10M';
const count = { type: 'integer', minimum: 1, maximum: 1_000_000 };
const duration = { type: ['string', 'object'] };

const validate = compileSchema({
  type: 'object',
  additionalProperties: false,
  required: ['name'],
  properties: {
    name: DEFINITION_NAME,
    description: { type: 'string' },
    concurrency: count,
    perKey: count,
    perWorker: count,
    rate: {
      type: 'object',
      additionalProperties: false,
      required: ['limit', 'period'],
      properties: { limit: count, period: duration },
    },
    fairness: { enum: ['none', 'key'] },
    weights: { type: 'object', additionalProperties: { type: 'number', minimum: 0.01, maximum: 100 } },
    ageing: duration,
    hold: { enum: ['working', 'whole'] },
  },
} as unknown as JsonObject);

/**
 * The kind of definition `run-queue`: files of `run-queues/`.
 *
 * @example planProject(files, [runQueueKind], definitions)
 */
export const runQueueKind: DefinitionKind = {
  kind: 'run-queue',
  folder: 'run-queues',
  parse(document: SourceDocument) {
    validateDocument(document, validate);
    const body = document.value;
    const { rate, ageing, fairness, perKey, weights } = body as unknown as RunQueueDefinition;
    for (const [path, value] of [
      ['/rate/period', rate?.period],
      ['/ageing', ageing],
    ] as const) {
      if (value !== undefined) positive(document, path, value);
    }
    if (fairness === 'none' && (perKey !== undefined || weights !== undefined)) {
      const message = 'perKey and weights are of keys that take turns';
      throw invalid(document, '/fairness', message, 'key, or nothing');
    }
    return { name: String(body.name), body };
  },
};

/**
 * A queue as the engine uses it. Keys take turns when it says so, and when it says anything of single keys.
 *
 * @example compileRunQueue({ name: 'refunds', concurrency: 4, perKey: 1 }).fair // true
 */
export function compileRunQueue(body: JsonObject): RunQueue {
  const { name, concurrency, perKey, perWorker, rate, fairness, weights, ageing, hold } =
    body as unknown as RunQueueDefinition;
  return {
    name,
    concurrency,
    perKey,
    perWorker,
    rate: rate && { limit: rate.limit, periodMs: parseDuration(rate.period) },
    fair: fairness === 'key' || perKey !== undefined || weights !== undefined,
    weights: new Map(Object.entries(weights ?? {})),
    ageingMs: parseDuration(ageing ?? AGEING),
    holdsWhileWaiting: hold === 'whole',
  };
}

function positive(document: SourceDocument, path: string, value: string | DurationParts): void {
  let ms: number;
  try {
    ms = parseDuration(value);
  } catch (error) {
    throw invalid(document, path, (error as Error).message, 'a duration, such as PT1M');
  }
  if (ms <= 0) throw invalid(document, path, 'it must be longer than nothing', 'a duration, such as PT1M');
}

function invalid(document: SourceDocument, path: string, message: string, expected: string): AiosError {
  return new AiosError('definition.invalid', {
    issues: [locateIssue(document, { path, message, expected })],
  });
}
