import { locateIssue, type SourceDocument, validateDocument } from '../kernel/document.ts';
import { type DurationParts, parseDuration } from '../kernel/duration.ts';
import { AiosError, type Issue } from '../kernel/errors.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import { type MicroUsd, microUsd } from '../kernel/money.ts';
import { compileSchema, type Validator } from '../kernel/schema.ts';
import type { DefinitionKind } from '../store/project.ts';

/** A queue of people's work, as its author writes it in `queues/<name>.yaml`. */
interface QueueDefinition {
  readonly name: string;
  /** What people see. */
  readonly title: string;
  /** Markdown, shown beside each task. */
  readonly instructions?: string;
  /** JSON Schema (draft 2020-12) of the answer. */
  readonly form: JsonObject;
  /** Who may claim and answer; everybody with the permission when left out. */
  readonly candidateRoles?: readonly string[];
  /** How long a task waits when its opener names no time. */
  readonly deadline?: string | DurationParts;
  /** The safe outcome: what counts as the answer when nobody answered in time. */
  readonly onDeadline?: Json;
  /** 0 to 100, higher first. */
  readonly priority?: number;
  readonly costPerMinuteUsd?: number;
}

/** A queue ready for use. */
export interface Queue {
  readonly name: string;
  readonly title: string;
  readonly instructions: string | null;
  readonly form: JsonObject;
  readonly candidateRoles: readonly string[] | undefined;
  readonly deadlineMs: number | undefined;
  readonly onDeadline: Json;
  readonly priority: number;
  readonly costPerMinuteMicroUsd: MicroUsd;
  readonly validate: Validator;
}

const PRIORITY = 50;

const validate = compileSchema({
  type: 'object',
  additionalProperties: false,
  required: ['name', 'title', 'form'],
  properties: {
    name: { type: 'string', pattern: '^[a-z0-9][a-z0-9._-]{0,99}$' },
    title: { type: 'string', minLength: 1 },
    description: { type: 'string' },
    instructions: { type: 'string' },
    form: { type: 'object' },
    candidateRoles: { type: 'array', minItems: 1, items: { type: 'string' }, uniqueItems: true },
    deadline: { type: ['string', 'object'] },
    onDeadline: {},
    priority: { type: 'integer', minimum: 0, maximum: 100 },
    costPerMinuteUsd: { type: 'number', minimum: 0 },
  },
  // A wait that ends must end in something: no answer in time is never an approval by accident.
  dependentRequired: { deadline: ['onDeadline'] },
} as unknown as JsonObject);

/** The kind `queue` of a project folder. */
export const queueKind: DefinitionKind = {
  kind: 'queue',
  folder: 'queues',
  parse: (document) => parseQueue(document),
};

/**
 * Reads a queue: its form must be a JSON Schema, and its safe outcome must be an answer that the form accepts.
 *
 * @throws AiosError `definition.invalid`, `definition.duration`, each with file and line
 * @example parseQueue(readDocument(text, 'queues/return-review.yaml')).name // 'return-review'
 */
export function parseQueue(document: SourceDocument): { name: string; body: JsonObject } {
  validateDocument(document, validate);
  const body = document.value;
  const queue = at(document, '/form', () => compileQueue(body));
  if ('deadline' in body) at(document, '/deadline', () => parseDuration(body.deadline as string));
  if ('onDeadline' in body) {
    const issues = queue.validate(body.onDeadline).map((issue) => {
      const path = `/onDeadline${issue.path}`;
      return locateIssue(document, {
        ...issue,
        path,
        message: `the form does not accept it: ${issue.message}`,
      });
    });
    if (issues.length > 0) throw new AiosError('definition.invalid', { issues });
  }
  return { name: queue.name, body };
}

/** @throws AiosError `definition.invalid` when the form is no JSON Schema */
export function compileQueue(body: JsonObject): Queue {
  const definition = body as unknown as QueueDefinition;
  let deadlineMs: number | undefined;
  return {
    name: definition.name,
    title: definition.title,
    instructions: definition.instructions ?? null,
    form: definition.form,
    candidateRoles: definition.candidateRoles,
    // Lazy, so that a fault in the duration is told at its own place.
    get deadlineMs() {
      if (definition.deadline === undefined) return undefined;
      deadlineMs ??= parseDuration(definition.deadline);
      return deadlineMs;
    },
    onDeadline: definition.onDeadline ?? null,
    priority: definition.priority ?? PRIORITY,
    costPerMinuteMicroUsd: microUsd(definition.costPerMinuteUsd ?? 0),
    validate: compileSchema(definition.form),
  };
}

function at<T>(document: SourceDocument, path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof AiosError)) throw error;
    const issue: Issue = { path, message: error.message };
    throw new AiosError(error.code, { issues: [locateIssue(document, issue)], cause: error });
  }
}
