/** A sampled request, as far as a line can tell it. */
export interface ToldRequest {
  readonly request: { readonly features?: object; readonly inputs?: object[] } & Bodied;
  readonly answer: ({ readonly outputs?: unknown } & Bodied) | null;
}

/** What a body in OpenAI's protocol may have; redacted, any of it is a text. */
interface Bodied {
  readonly messages?: unknown;
  readonly input?: unknown;
  readonly choices?: unknown;
  readonly vectors?: number;
  readonly dimensions?: number;
}

/** The features, the tensors, the last message, or the texts to embed. */
export function askedText({ request }: ToldRequest): string {
  const { features, inputs, messages, input } = request;
  if (features ?? inputs) return JSON.stringify(features ?? inputs);
  if (Array.isArray(messages)) return said(messages.at(-1));
  return text(messages ?? input);
}

/** The outputs, what the first choice says or calls, or how many vectors there are. */
export function answeredText({ answer }: ToldRequest): string {
  if (answer === null) return '';
  const { outputs, choices, vectors, dimensions } = answer;
  if (outputs !== undefined) return JSON.stringify(outputs);
  if (vectors !== undefined) return `${vectors} × ${dimensions} numbers`;
  return Array.isArray(choices)
    ? said((choices[0] as { message?: unknown } | undefined)?.message)
    : text(choices);
}

function said(message: unknown): string {
  if (typeof message !== 'object' || message === null) return text(message);
  const { content, tool_calls: calls } = message as { content?: unknown; tool_calls?: unknown };
  return text(content ?? calls);
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}
