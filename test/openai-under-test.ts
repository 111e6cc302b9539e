import OpenAI from 'openai';
import { afterAll, beforeAll, describe, vi } from 'vitest';
import type { App } from '../src/app/app.ts';
import type { Json, JsonObject } from '../src/kernel/json.ts';
import { OpenAiServer } from '../src/testing/openai-server.ts';
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

/** The stock client of OpenAI, the real app that it asks, and the server of language models that the app asks. */
export interface Stock {
  readonly upstream: OpenAiServer;
  readonly aios: Aios;
  readonly client: OpenAI;
}

/**
 * Tests by the stock client.
 *
 * @param models what their endpoints say beside the address of the server, by name
 * @param tests gets what is there once a test runs
 */
export function describeOpenAi(
  name: string,
  models: Readonly<Record<string, JsonObject>>,
  tests: (stock: Stock) => void,
): void {
  describe(name, () => {
    const stock = {} as { -readonly [Part in keyof Stock]: Stock[Part] };
    beforeAll(async () => {
      stock.upstream = await OpenAiServer.start();
      stock.aios = await openAios();
      const { baseURL, apiKey } = stock.aios;
      stock.client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
      for (const [model, endpoint] of Object.entries(models))
        await stock.aios.register(model, { url: stock.upstream.url, ...endpoint });
    });
    afterAll(async () => {
      await stock.aios?.stop();
      await stock.upstream?.stop();
    });
    tests(stock);
  });
}
