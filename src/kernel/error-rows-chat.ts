import { again, type ErrorRow, row } from './error-row.ts';

/** Errors of language models, and of the budgets that bound what they cost. */
export const CHAT_ERRORS = {
  'chat.wrong_model': row(
    400,
    'The model does not answer at this address',
    'Name a model that does this: /v1/models lists chat and embedding models.',
  ),
  'chat.refused': row(
    400,
    'The server of the model refused the request',
    'The detail is what it said; correct the request.',
  ),
  'chat.misconfigured': row(
    502,
    'The server of the model rejected our credentials, or does not have the model',
    'Look at url, model and secret of the endpoint in the model definition; the detail is what the server said.',
  ),
  'chat.upstream_failed': again(
    502,
    'No server of the model gave an answer',
    'Try again; the detail says how the last attempt ended. Name fallbacks in the endpoint, so that others are asked.',
  ),
  'chat.upstream_limited': again(
    429,
    'The server of the model takes no more for now',
    'Wait as long as Retry-After says; alternatives and fallbacks in the endpoint are asked meanwhile.',
  ),
  'chat.stream_cut': again(
    502,
    'The stream ended before the answer did',
    'What was received so far can be used; ask again for a whole answer.',
  ),
  'chat.output_invalid': again(
    502,
    'The answer is not what response_format asks for',
    'See `issues`; ask again, give the model an example, or take a model that keeps to schemas.',
  ),
  'budgets.exceeded': again(
    429,
    'A budget is used up',
    'Wait until its period ends (Retry-After), or have it raised: aios budgets.',
  ),
  'budgets.unknown': row(404, 'There is no such budget', 'List them: aios budgets, or /api/v1/budgets.'),
} as const satisfies Record<string, ErrorRow>;
