import { again, type ErrorRow, row } from './error-row.ts';

/** Errors of language models, and of the budgets that bound what they cost. */
export const CHAT_ERRORS = {
  'chat.wrong_model': row(
    400,
    'The model does not serve this endpoint',
    'Name a model that does: /v1/models lists chat and embedding models.',
    'Name a model that does this: the page “Models” lists them.',
  ),
  'chat.refused': row(
    400,
    'The server of the model refused the request',
    'The detail is its answer; correct the request.',
  ),
  'chat.misconfigured': row(
    502,
    'The server of the model rejected our credentials, or does not have the model',
    'Check url, model and secret of the endpoint in the model definition; the detail is the server’s answer.',
  ),
  'chat.upstream_failed': again(
    502,
    'No server of the model gave an answer',
    'Try again; the detail says how the last attempt ended. Fallbacks in the endpoint let other servers answer.',
  ),
  'chat.upstream_limited': again(
    429,
    'The server of the model accepts no more requests for now',
    'Wait as long as Retry-After says; alternatives and fallbacks in the endpoint answer in the meantime.',
    'Wait a moment, then try again; alternatives and fallbacks in the endpoint answer in the meantime.',
  ),
  'chat.stream_cut': again(
    502,
    'The stream ended before the answer was complete',
    'The part received so far can be used; send the request again for a complete answer.',
  ),
  'chat.output_invalid': again(
    502,
    'The answer does not match response_format',
    'See `issues`; try again, give the model an example, or use a model that follows schemas more reliably.',
  ),
  'budgets.exceeded': again(
    429,
    'A budget is used up',
    'Wait until its period ends (Retry-After), or ask for a larger budget: aios budgets.',
    'Wait until its period ends, or ask for a larger budget: the page “Budgets” shows both.',
  ),
  'budgets.unknown': row(
    404,
    'There is no such budget',
    'List them: aios budgets, or /api/v1/budgets.',
    'The page “Budgets” lists them.',
  ),
} as const satisfies Record<string, ErrorRow>;
