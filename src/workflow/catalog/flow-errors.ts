import type { ErrorCode } from '../../kernel/error-codes.ts';
import { toAiosError } from '../../kernel/errors.ts';
import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import type { Validator } from '../../kernel/schema.ts';

/**
 * An error as flows see it (dsl-reference.md, "Error"): RFC 9457 members with the specification's types. `code` is AIOS's own,
 * when the error came from a part of AIOS.
 */
export interface FlowErrorBody {
  type: string;
  status: number;
  title: string;
  detail?: string;
  /** The place of the step that failed, a JSON Pointer into the definition; in the journal its key. */
  instance?: string;
  code?: string;
}

/** The error of a step, told with the step's place in the definition; one that came from a step inside, or that says its own, stays. */
export function located(error: FlowError, key: string, pointer: string): FlowError {
  const { instance } = error.body;
  if (instance !== undefined && instance.replace(/\^\d+$/, '') !== key) return error;
  return new FlowError({ ...error.body, instance: pointer });
}

export type StandardError =
  | 'configuration'
  | 'validation'
  | 'expression'
  | 'authentication'
  | 'authorization'
  | 'timeout'
  | 'communication'
  | 'runtime';

const TYPE_BASE = 'https://serverlessworkflow.io/spec/1.0.0/errors/';

/** Thrown inside a run: `try` may catch it; uncaught it ends the run as failed. */
export class FlowError extends Error {
  readonly body: FlowErrorBody;

  constructor(body: FlowErrorBody) {
    super(body.detail ?? body.title);
    this.name = 'FlowError';
    this.body = body;
  }
}

/** Thrown at whatever still waits inside a branch that lost, timed out or was cancelled; no `try` catches it. */
export class Abandoned extends Error {
  constructor() {
    super('abandoned');
    this.name = 'Abandoned';
  }
}

/** @example standardError('timeout', 408, 'No answer within 5 s', 'score') */
export function standardError(
  name: StandardError,
  status: number,
  detail: string,
  instance: string,
): FlowError {
  return new FlowError({ type: TYPE_BASE + name, status, title: name, detail, instance });
}

/** The run was canceled: what a `catch` that cleans up names by this type or status (499: the client closed the request). */
export function canceledError(instance: string): FlowError {
  const body = { type: `${TYPE_BASE}canceled`, status: 499, title: 'canceled', instance };
  return new FlowError({ ...body, code: 'workflow.canceled' });
}

/** Whatever a step threw, as an error that a flow can catch. */
export function toFlowError(error: unknown, instance: string): FlowError {
  if (error instanceof FlowError) return error;
  const known = toAiosError(error);
  const name = standardNameOf(known.code, known.status);
  return new FlowError({
    type: TYPE_BASE + name,
    // The specification gives these one status (dsl.md, "Runtime expressions").
    status: name === 'expression' ? 400 : known.status,
    title: known.toProblem().title,
    detail: known.message,
    instance,
    code: known.code,
  });
}

function standardNameOf(code: ErrorCode, status: number): StandardError {
  if (code.startsWith('expression.')) return 'expression';
  if (status === 401) return 'authentication';
  if (status === 403) return 'authorization';
  if (status === 408 || status === 504) return 'timeout';
  if (status === 429 || status === 502 || status === 503) return 'communication';
  return status < 500 ? 'validation' : 'runtime';
}

/**
 * Whether a `catch.errors.with` filter takes an error. The specification's own documents disagree about the prefix of the types, so
 * that types match by their last segment.
 */
export function matchesError(filter: JsonObject | undefined, body: FlowErrorBody): boolean {
  if (!filter) return true;
  return Object.entries(filter).every(([name, expected]) => {
    const found = (body as unknown as Record<string, Json>)[name];
    if (name === 'type') return lastSegment(String(expected)) === lastSegment(String(found));
    return found === expected;
  });
}

function lastSegment(type: string): string {
  return type.slice(type.lastIndexOf('/') + 1);
}

/** A `raise.error` after its expressions: the members that the specification asks for, or a validation error. */
export function raisedError(value: Json, instance: string): FlowError {
  const { type, status, title, detail, instance: own } = isObject(value) ? value : {};
  if (typeof type !== 'string' || !isStatus(status)) {
    const given = JSON.stringify({ type, status });
    const detail = `raise.error needs a type, a text, and a status, a whole number; it has ${given}.`;
    return standardError('validation', 400, detail, instance);
  }
  const body: FlowErrorBody = {
    type,
    status: Number(status),
    title: textOf(title) ?? lastSegment(type),
    instance: typeof own === 'string' ? own : instance,
  };
  const told = textOf(detail);
  if (told !== undefined) body.detail = told;
  return new FlowError(body);
}

/** Written as a text it counts too, as YAML and expressions make one of it. */
function isStatus(value: Json | undefined): boolean {
  return (
    (typeof value === 'number' || (typeof value === 'string' && value !== '')) &&
    Number.isInteger(Number(value))
  );
}

/** The text of a member that an expression may have made something else of; undefined when there is nothing. */
function textOf(value: Json | undefined): string | undefined {
  if (value === undefined || value === null) return undefined;
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** @throws FlowError a validation error that names what does not fit, when it does not fit its schema */
export function checkData(validate: Validator | undefined, value: Json, what: string, key: string): void {
  if (!validate) return;
  const issues = validate(value);
  if (issues.length === 0) return;
  const detail = issues.map((issue) => `${what}${issue.path}: ${issue.message}`).join('; ');
  throw standardError('validation', 400, detail, key);
}
