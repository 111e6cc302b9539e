import type { ErrorCode } from '../kernel/error-codes.ts';
import type { AiosError } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';

/** MLflow's names for statuses; its clients raise the error by this name. */
const BY_STATUS: Readonly<Record<number, string>> = {
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'RESOURCE_DOES_NOT_EXIST',
  405: 'ENDPOINT_NOT_FOUND',
  409: 'RESOURCE_CONFLICT',
  429: 'REQUEST_LIMIT_EXCEEDED',
  503: 'TEMPORARILY_UNAVAILABLE',
};

const BY_CODE: Readonly<Partial<Record<ErrorCode, string>>> = {
  'request.not_found': 'ENDPOINT_NOT_FOUND',
  'experiments.no_traces': 'ENDPOINT_NOT_FOUND',
  'experiments.exists': 'RESOURCE_ALREADY_EXISTS',
  'models.name_taken': 'RESOURCE_ALREADY_EXISTS',
  'experiments.param_kept': 'INVALID_PARAMETER_VALUE',
  'experiments.deleted': 'INVALID_PARAMETER_VALUE',
};

/** Whether an address is of MLflow's API, whose clients expect its errors. */
export function isMlflowPath(url: string): boolean {
  return url.startsWith('/api/2.0/mlflow') || url.startsWith('/api/3.0/mlflow');
}

/** Of its API for traces, in all its versions; its clients send spans by OTLP too. @example isTrace('/api/3.0/mlflow/traces/search') // true */
export function isTrace(url: string): boolean {
  return /^\/v1\/traces(?:\?|$)/.test(url) || (isMlflowPath(url) && /\/mlflow\/traces(?:[/?]|$)/.test(url));
}

/**
 * An error in the shape of MLflow's API, with the code of ours and the way forward in its message.
 *
 * @example mlflowError(new AiosError('models.unknown_model')).error_code // 'RESOURCE_DOES_NOT_EXIST'
 */
export function mlflowError(problem: AiosError): JsonObject {
  const { hint, detail } = problem.toProblem();
  const fallback = problem.status >= 500 ? 'INTERNAL_ERROR' : 'INVALID_PARAMETER_VALUE';
  return {
    error_code: BY_CODE[problem.code] ?? BY_STATUS[problem.status] ?? fallback,
    message: `${detail}${hint ? ` ${hint}` : ''} (${problem.code})`,
  };
}
