import { Agent } from 'undici';
import { ManualClock } from '../../kernel/clock.ts';
import { AiosError } from '../../kernel/errors.ts';
import type { JsonObject } from '../../kernel/json.ts';
import { type Limits, limitsFrom } from '../../kernel/limits.ts';
import { write } from '../../store/lane.ts';
import type { LoggedCall } from './call-record.ts';
import type { LanguageCall, RegisteredVersion } from './language-call.ts';
import { LanguageModels } from './language-models.ts';
import { Upstream } from './upstream.ts';

interface Charge {
  resource: string;
  quantity: number;
  amountMicroUsd: number;
  tags: JsonObject;
}

const AT = Date.UTC(2026, 4, 5);
const lane = { name: 'records', order: 1, write: async () => undefined };

/** Calls of language models over real connections; what would be committed is kept in `charges` and `settled`. */
export class ChatUnderTest {
  readonly models: LanguageModels;
  readonly charges: Charge[] = [];
  readonly held: { tokens: number; amountMicroUsd: number }[] = [];
  readonly settled: { tokens: number; amountMicroUsd: number }[] = [];
  readonly logged: LoggedCall[] = [];
  readonly #endpoints = new Map<string, JsonObject>();
  readonly #serving = new Map<string, RegisteredVersion['serving']>();
  readonly #agent = new Agent();

  constructor(overrides: Partial<Limits> = {}, secrets: Record<string, string> = {}) {
    const limits = { ...limitsFrom(), ...overrides };
    this.models = new LanguageModels({
      models: {
        resolve: (name) => {
          const endpoint = this.#endpoints.get(name);
          if (!endpoint) throw new AiosError('models.unknown_model', { detail: name });
          return {
            name,
            version: 1,
            digest: 'sha256:0',
            runtime: name.startsWith('onnx') ? 'onnx' : 'openai',
            endpoint,
            serving: this.#serving.get(name),
          };
        },
      },
      upstream: new Upstream({ dispatcher: this.#agent, limits, secret: (name) => secrets[name] }),
      tensors: {
        embed: async ({ model, inputs }) => ({
          ...{ model, version: 1, digest: 'sha256:0' },
          ...{ vectors: inputs.map((input) => [input.length]), costMicroUsd: 5 },
        }),
      },
      admit: (_, callerId) => {
        if (callerId === 'limited') throw new AiosError('serving.rate_limited');
      },
      budgets: {
        reserve: ({ tokens, amountMicroUsd }) => {
          this.held.push({ tokens, amountMicroUsd });
          return Promise.resolve({ id: String(this.held.length) });
        },
        settle: (_, used) => write(lane, { settled: used }),
      },
      cost: (charge) => write(lane, { charge }),
      commit: {
        commit: async (writes) => {
          for (const { item } of writes) {
            const { charge, settled } = item as {
              charge?: Charge;
              settled?: { tokens: number; amountMicroUsd: number };
            };
            if (charge) this.charges.push(charge);
            if (settled) this.settled.push(settled);
          }
          return [];
        },
      },
      log: { keep: (entry) => void this.logged.push(entry()) },
      clock: new ManualClock(AT),
      limits,
    });
  }

  define(name: string, endpoint: JsonObject, serving?: RegisteredVersion['serving']): void {
    this.#endpoints.set(name, endpoint);
    this.#serving.set(name, serving);
  }

  /** A call of a model with one message. */
  call(
    model: string,
    content = 'hello',
    more: Partial<LanguageCall> & { request?: JsonObject } = {},
  ): LanguageCall {
    const { request, ...rest } = more;
    return {
      model,
      request: { messages: [{ role: 'user', content }], ...request },
      by: { kind: 'key', id: 'key_1' },
      signal: new AbortController().signal,
      ...rest,
    };
  }

  async text(call: LanguageCall): Promise<string> {
    const { body } = await this.models.complete(call);
    return (body as { choices: { message: { content: string } }[] }).choices[0]!.message.content;
  }

  close(): Promise<void> {
    return this.#agent.close();
  }
}
