import type { JsonObject } from '../../kernel/json.ts';
import { ModelRefused, type Runtime } from './runtime.ts';

/** What this runtime needs of whoever speaks OpenAI's protocol. */
export interface LanguageServers {
  /** Asks the servers of an endpoint whether they have the model. @returns why they do not, or undefined; rejects when none is there to be asked */
  verify(endpoint: JsonObject): Promise<string | undefined>;
}

/**
 * Language models at servers that speak OpenAI's protocol, as the registry sees them: a version is kept when its servers have the model. It has no
 * tensors; it is asked at `/v1`, where a call may stream, and is paid by whoever makes it.
 */
export function createOpenAiRuntime(servers: LanguageServers): Runtime {
  return {
    async start({ endpoint }) {
      const refusal = await servers.verify(endpoint as JsonObject).catch((error: Error) => {
        throw new Error(error.message, { cause: error }); // no fault of the model: the registry says so in its own words
      });
      if (refusal !== undefined) throw new ModelRefused(refusal);
      const listeners: ((reason: Error) => void)[] = [];
      return {
        inputs: [],
        outputs: [],
        run: async () => ({ outputs: [], computeUs: 0 }),
        kill: () => {
          for (const listener of listeners.splice(0)) listener(new Error('asked to end'));
        },
        onEnd: (listener) => void listeners.push(listener),
      };
    },
  };
}
