import { vi } from 'vitest';
import type { App } from '../src/app.ts';
import type { Json } from '../src/kernel/json.ts';
import { openApp } from './app-under-test.ts';

export interface Aios {
  readonly app: App;
  /** Where OpenAI's clients point to. */
  readonly baseURL: string;
  readonly apiKey: string;
  /** Registers a language model from its endpoint, under the alias champion. */
  register(name: string, endpoint: Json): Promise<void>;
  /** An answer of the API, asked with the admin key. */
  api(method: string, path: string, body?: Json): Promise<{ status: number; body: Record<string, Json> }>;
  stop(): Promise<void>;
}

/** Waits until a check holds: what is told later (counts, the audit log) takes its time on a busy machine. */
export const eventually = (check: () => void | Promise<void>) =>
  vi.waitFor(check, { timeout: 20_000, interval: 100 });

/** The real app on a database of its own; servers on this machine may be called. */
export async function openAios(limits = ''): Promise<Aios> {
  process.env.AIOS_HTTP_ALLOW_PRIVATE = '127.0.0.1';
  const { app, close } = await openApp({ limits });
  const api: Aios['api'] = async (method, path, body) => {
    const response = await fetch(`${app.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${app.adminKey}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as Record<string, Json> };
  };
  return {
    app,
    baseURL: `${app.url}/v1`,
    apiKey: app.adminKey,
    api,
    async register(model, endpoint) {
      const made = await api('POST', `/api/v1/models/${model}/versions`, { runtime: 'openai', endpoint });
      if (made.status !== 201) throw new Error(JSON.stringify(made.body));
      const { version } = made.body as { version: number };
      const moved = await api('PUT', `/api/v1/models/${model}/aliases/champion`, { version });
      if (moved.status !== 200) throw new Error(JSON.stringify(moved.body));
    },
    stop: close,
  };
}
