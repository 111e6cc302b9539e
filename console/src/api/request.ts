/** What the API answers when it refuses (RFC 9457), and what to do about it. */
export interface Problem {
  /** Where the server tells what the code means; a fault of the way there has none. */
  type?: string;
  status: number;
  code: string;
  title: string;
  detail?: string;
  /** What to do by a program or at a command line. */
  hint?: string;
  /** What to do here, where `hint` does not serve a person in the console. */
  hintInConsole?: string;
  /** Finds what happened in the log of the server. */
  requestId?: string;
  /** The limit that was met, and how much it allows. */
  limitName?: string;
  limit?: number;
  issues?: { path?: string; message: string; found?: string; file?: string; line?: number }[];
}

export class ProblemError extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail ?? problem.title);
    this.name = 'ProblemError';
    this.problem = problem;
  }
}

const UNREACHABLE: Problem = {
  status: 0,
  code: 'unreachable',
  title: 'AIOS cannot be reached',
  hint: 'Is it still running? This page tries again by itself.',
};

type Query = Record<string, string | number | boolean | undefined>;

/** A path with its query; what is undefined or empty is left out. */
export function withQuery(path: string, query: Query): string {
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined && value !== '');
  const text = new URLSearchParams(pairs.map(([name, value]) => [name, String(value)])).toString();
  return text === '' ? path : `${path}?${text}`;
}

async function send(method: string, path: string, body?: unknown): Promise<Response> {
  const headers: Record<string, string> = { accept: 'application/json' };
  if (body !== undefined) headers['content-type'] = 'application/json';
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers,
      credentials: 'same-origin',
      body: body === undefined ? null : JSON.stringify(body),
    });
  } catch {
    throw new ProblemError(UNREACHABLE);
  }
  if (!response.ok) throw new ProblemError(await problemOf(response));
  return response;
}

async function problemOf(response: Response): Promise<Problem> {
  const { status } = response;
  try {
    return { ...((await response.json()) as Problem), status };
  } catch {
    return { status, code: `http.${status}`, title: `The server answered ${status}` };
  }
}

/** @throws ProblemError */
export async function get<Answer>(path: string, query: Query = {}): Promise<Answer> {
  return (await (await send('GET', withQuery(path, query))).json()) as Answer;
}

/** @throws ProblemError */
export async function getText(path: string): Promise<string> {
  return (await send('GET', path)).text();
}

/** @throws ProblemError */
export async function getBytes(path: string): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await (await send('GET', path)).arrayBuffer());
}

/** @throws ProblemError */
export async function act<Answer>(
  method: 'POST' | 'PUT' | 'PATCH',
  path: string,
  body?: unknown,
): Promise<Answer> {
  return (await (await send(method, path, body)).json()) as Answer;
}

/** @throws ProblemError */
export async function remove(path: string): Promise<void> {
  await send('DELETE', path);
}
