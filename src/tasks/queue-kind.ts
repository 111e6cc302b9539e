import { locateIssue, type SourceDocument, validateDocument } from '../kernel/document.ts';
import { parseDuration } from '../kernel/duration.ts';
import { AiosError, type Issue } from '../kernel/errors.ts';
import { isObject, type Json, type JsonObject } from '../kernel/json.ts';
import { type MicroUsd, microUsd } from '../kernel/money.ts';
import { compileSchema, DEFINITION_NAME, type Validator } from '../kernel/schema.ts';
import { unknownKeywords } from '../kernel/schema-keywords.ts';
import type { DefinitionKind } from '../store/definition-kind.ts';
import { type Length, workingTimeOf } from './dates.ts';
import {
  compileRules,
  type ReviewDefinition,
  type ReviewRules,
  reviewIssues,
  reviewProperties,
} from './review-rules.ts';

/** A queue of people's work, as its author writes it in `queues/<name>.yaml`. */
interface QueueDefinition extends ReviewDefinition {
  readonly name: string;
  /** What people see. */
  readonly title: string;
  /** Markdown, shown beside each task. */
  readonly instructions?: string;
  /** JSON Schema (draft 2020-12) of the answer. */
  readonly form: JsonObject;
  /** Who may claim and answer; everybody with the permission when left out. */
  readonly candidateRoles?: readonly string[];
  /** As `candidateRoles`, by group: who has one of the roles or is in one of the groups. */
  readonly candidateGroups?: readonly string[];
  /** The calendar whose working time `due`, `deadline` and `escalations` count; without one time passes by day and night. */
  readonly calendar?: string;
  /** When a task should be done, from when it is opened. */
  readonly due?: Length;
  /** How long a task waits when its opener names no time. */
  readonly deadline?: Length;
  /** What happens while nobody has answered, by the time since the task was opened. */
  readonly escalations?: readonly Escalation[];
  /** Whether who looks at a task may send it back with a question. */
  readonly allowReturn?: boolean;
  /** The safe outcome: what counts as the answer when nobody answered in time. */
  readonly onDeadline?: Json;
  /** 0 to 100, higher first. */
  readonly priority?: number;
  readonly costPerMinuteUsd?: number;
}

/** A rung of a queue's ladder. */
interface Escalation {
  readonly after: Length;
  /** At least this from then on. */
  readonly priority?: number;
  /** Who may answer too from then on. */
  readonly toGroups?: readonly string[];
  readonly toRoles?: readonly string[];
  /** The type of the event that is told then; a contract must cover it. */
  readonly notify?: string;
}

/** A queue ready for use. */
export interface Queue {
  readonly name: string;
  readonly title: string;
  readonly instructions: string | null;
  readonly form: JsonObject;
  readonly candidateRoles: readonly string[] | undefined;
  readonly candidateGroups: readonly string[] | undefined;
  readonly calendar: string | undefined;
  readonly due: Length | undefined;
  readonly deadline: Length | undefined;
  readonly escalations: readonly Escalation[];
  readonly allowReturn: boolean;
  readonly onDeadline: Json;
  readonly priority: number;
  readonly costPerMinuteMicroUsd: MicroUsd;
  readonly validate: Validator;
  /** How many people answer, and how their answers become one. */
  readonly rules: ReviewRules;
}

const PRIORITY = 50;
const NAMES = { type: 'array', minItems: 1, items: { type: 'string', minLength: 1 }, uniqueItems: true };
const LENGTH = { type: ['string', 'object'] };

const validate = compileSchema({
  type: 'object',
  additionalProperties: false,
  required: ['name', 'title', 'form'],
  properties: {
    name: DEFINITION_NAME,
    title: { type: 'string', minLength: 1 },
    description: { type: 'string' },
    instructions: { type: 'string' },
    form: { type: 'object' },
    candidateRoles: NAMES,
    candidateGroups: NAMES,
    calendar: { type: 'string' },
    due: LENGTH,
    deadline: LENGTH,
    escalations: {
      type: 'array',
      minItems: 1,
      maxItems: 20,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['after'],
        minProperties: 2,
        properties: {
          after: LENGTH,
          priority: { type: 'integer', minimum: 0, maximum: 100 },
          toGroups: NAMES,
          toRoles: NAMES,
          notify: { type: 'string', minLength: 1 },
        },
      },
    },
    allowReturn: { type: 'boolean' },
    onDeadline: {},
    priority: { type: 'integer', minimum: 0, maximum: 100 },
    costPerMinuteUsd: { type: 'number', minimum: 0 },
    ...reviewProperties,
  },
  // A wait that ends must end in something: no answer in time is never an approval by accident.
  dependentRequired: { deadline: ['onDeadline'] },
} as unknown as JsonObject);

/** The kind `queue` of a project folder. */
export const queueKind: DefinitionKind = {
  kind: 'queue',
  folder: 'queues',
  parse: (document) => parseQueue(document),
  references: (body) => {
    const { calendar, escalations = [] } = body as unknown as QueueDefinition;
    return [
      ...(calendar === undefined ? [] : [{ kind: 'calendar', name: calendar, path: '/calendar' }]),
      ...escalations.flatMap(({ notify }, index) =>
        notify === undefined
          ? []
          : [{ kind: 'contract', name: notify, path: `/escalations/${index}/notify` }],
      ),
    ];
  },
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
  checkKeywords(document, body.form as JsonObject);
  checkRequired(document, body.form as JsonObject);
  checkLengths(document, body as unknown as QueueDefinition);
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
  const issues = reviewIssues(body as unknown as QueueDefinition).map((issue) =>
    locateIssue(document, issue),
  );
  if (issues.length > 0) throw new AiosError('definition.invalid', { issues });
  return { name: queue.name, body };
}

/** A form is ours to draw and to hold an answer to: a word in it that nobody reads is a slip, and the form would take any answer. */
function checkKeywords(document: SourceDocument, form: JsonObject): void {
  const expected = 'a keyword, or a name that begins with x-';
  const issues = unknownKeywords(form, '/form').map((issue) =>
    locateIssue(document, issue.meant === undefined ? { ...issue, expected } : issue),
  );
  if (issues.length > 0) throw new AiosError('definition.invalid', { issues });
}

/** A field that the form asks for and does not have is shown to nobody, and without it no answer is taken. */
function checkRequired(
  document: SourceDocument,
  { required, properties = {}, additionalProperties, ...others }: JsonObject,
): void {
  // Fields may come by a reference or a condition: then the form is left to its author.
  const isWhole = Object.keys(others).every(
    (keyword) =>
      !/^(?:\$ref|\$dynamicRef|allOf|anyOf|oneOf|if|dependentSchemas|patternProperties)$/.test(keyword),
  );
  if (!isWhole || isObject(additionalProperties) || !Array.isArray(required)) return;
  const fields = Object.keys(properties as JsonObject);
  const issues = required.flatMap((name, index): Issue[] => {
    if (fields.includes(String(name))) return [];
    const message = `the form asks for “${String(name)}” and has no such field`;
    return [{ path: `/form/required/${index}`, message, expected: fields.join(', ') || 'properties' }];
  });
  if (issues.length > 0)
    throw new AiosError('definition.invalid', {
      issues: issues.map((issue) => locateIssue(document, issue)),
    });
}

/** Each length must be one, in working time where the queue has a calendar, and the ladder go up. */
function checkLengths(document: SourceDocument, queue: QueueDefinition): void {
  const { due, deadline, escalations = [], calendar } = queue;
  const check = (path: string, length: Length | undefined) => {
    if (length === undefined) return 0;
    return at(document, path, () => {
      if (calendar !== undefined) workingTimeOf(length);
      return parseDuration(length);
    });
  };
  check('/due', due);
  check('/deadline', deadline);
  let before = 0;
  for (const [index, escalation] of escalations.entries()) {
    const path = `/escalations/${index}/after`;
    const ms = check(path, escalation.after);
    if (ms <= before) {
      const issue: Issue = { path, message: 'an escalation comes later than the one before it' };
      throw new AiosError('definition.invalid', { issues: [locateIssue(document, issue)] });
    }
    before = ms;
  }
}

/** @throws AiosError `definition.invalid` when the form is not a JSON Schema */
export function compileQueue(body: JsonObject): Queue {
  const definition = body as unknown as QueueDefinition;
  const { name, title, form, candidateRoles, candidateGroups, calendar, due, deadline } = definition;
  return {
    name,
    title,
    instructions: definition.instructions ?? null,
    form,
    candidateRoles,
    candidateGroups,
    calendar,
    due,
    deadline,
    escalations: definition.escalations ?? [],
    allowReturn: definition.allowReturn ?? false,
    onDeadline: definition.onDeadline ?? null,
    priority: definition.priority ?? PRIORITY,
    costPerMinuteMicroUsd: microUsd(definition.costPerMinuteUsd ?? 0),
    validate: compileSchema(form),
    rules: compileRules(definition),
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
