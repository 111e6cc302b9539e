import type { AiosError } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import { pointerNames } from '../kernel/schema.ts';

const TYPES: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  403: 'permission_error',
  429: 'rate_limit_error',
};

/** What to use instead of what is not here (completions, assistants, responses that were kept, …), which all have their counterpart among these. */
export const OPENAI_ROUTES =
  "Of OpenAI's API there are POST /v1/chat/completions, POST /v1/responses (not kept), POST /v1/embeddings and GET /v1/models.";

/** Whether an address is of OpenAI's protocol, whose clients expect its errors. */
export function isOpenAiPath(url: string): boolean {
  return url.startsWith('/v1/');
}

/**
 * An error in the shape of OpenAI's API, with the code of ours: its clients make of it the error class of the status.
 *
 * @example openAiError(new AiosError('models.unknown_model')).error.code // 'models.unknown_model'
 */
export function openAiError(problem: AiosError): { error: JsonObject } {
  const { hint, issues, detail } = problem.toProblem();
  const [first] = problem.issues;
  const { param } = problem.extensions;
  const place = first ? pointerNames(first.path).join('.') : param;
  const type =
    problem.code === 'budgets.exceeded'
      ? 'insufficient_quota'
      : (TYPES[problem.status] ?? (problem.status >= 500 ? 'server_error' : 'invalid_request_error'));
  return {
    error: {
      message: detail,
      type,
      param: place || (problem.code.startsWith('models.unknown') ? 'model' : null),
      code: problem.code,
      hint,
      ...(issues ? { issues: issues as unknown as JsonObject[] } : {}),
    },
  };
}
