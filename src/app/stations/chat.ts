import { createGuardedAgent } from '../../connectors/egress.ts';
import type { Outgoing } from '../../connectors/outgoing.ts';
import { sentTo } from '../../connectors/secret-hosts.ts';
import type { Variables } from '../../connectors/template.ts';
import { destinationOf } from '../../kernel/destination.ts';
import { newId } from '../../kernel/ids.ts';
import type { Limits } from '../../kernel/limits.ts';
import { Budgets } from '../../ledger/budgets.ts';
import type { Costs } from '../../ledger/costs.ts';
import type { Models } from '../../models/models.ts';
import type { LoggedCall } from '../../serving/chat/call-record.ts';
import { OPENAI_ENDPOINT_SCHEMA } from '../../serving/chat/endpoint.ts';
import { LanguageModels, type LanguageModelsDependencies } from '../../serving/chat/language-models.ts';
import { splitReference } from '../../serving/chat/reference.ts';
import type { TensorPort } from '../../serving/chat/tensor-embeddings.ts';
import { Upstream } from '../../serving/chat/upstream.ts';
import { verifyEndpoint } from '../../serving/chat/verify-endpoint.ts';
import {
  embeddingInputs,
  embeddingParts,
  embeddingVectors,
} from '../../serving/protocol/embedding-tensors.ts';
import { createOpenAiRuntime } from '../../serving/runtimes/openai-runtime.ts';
import { RateLimiter } from '../../serving/traffic/rate-limiter.ts';
import type { RequestEntry, RequestLog } from '../../serving/traffic/request-log.ts';
import type { RolloutRouter } from '../../serving/traffic/rollout-router.ts';
import type { Serving } from '../../serving/traffic/serving.ts';
import type { Ground } from './ground.ts';

/** What the runtime of language models asks of a definition. */
export const OPENAI_KIND = { endpoint: OPENAI_ENDPOINT_SCHEMA };

/** The way to the servers of language models, through the guard of what leaves, and the runtime that verifies them. */
export function createOpenAi({ limits, closers }: Ground, outgoing: Outgoing, variables: Variables) {
  // Connections of its own: a stream holds one for as long as a model writes.
  const dispatcher = createGuardedAgent({
    isAllowed: (hostname, port) => outgoing.isAllowed(hostname, port),
    connectionsMax: limits.chatConnectionsMax,
    connectTimeoutMs: limits.httpCallMs,
    ...(outgoing.resolve ? { resolve: outgoing.resolve } : {}),
  });
  closers.push(() => dispatcher.close());
  const upstream = new Upstream({
    dispatcher,
    limits,
    secret: (name, url) => variables('secrets', name, sentTo(destinationOf(url))),
  });
  const openai = createOpenAiRuntime({
    verify: (endpoint) => verifyEndpoint(upstream, endpoint, AbortSignal.timeout(limits.replicaStartMs)),
  });
  return { upstream, openai };
}

interface ChatSurroundings {
  costs: Costs;
  models: Models;
  serving: Serving;
  router: RolloutRouter;
  upstream: Upstream;
  requestLog: RequestLog;
}

/** The calls of language models, and the budgets over them. */
export function createChat(
  ground: Ground,
  { costs, models, serving, router, upstream, requestLog }: ChatSurroundings,
) {
  const budgets = new Budgets(ground);
  const languageModels = new LanguageModels({
    ...ground,
    models: { resolve: (name, reference, key) => resolveSplit(models, router, name, reference, key) },
    upstream,
    tensors: createTensorEmbeddings(models, serving),
    admit: createAdmission(models, ground.limits),
    budgets,
    cost: (entry) => costs.entry(entry),
    log: { keep: (make) => requestLog.add(() => answeredByAsked(make())) },
  });
  ground.closers.push(async () => languageModels.close());
  return { budgets, languageModels };
}

/** The servers behind a language model are no versions: the one that was asked is the one that answers. */
function answeredByAsked(call: LoggedCall): RequestEntry {
  const { model, version, digest } = call;
  return { ...call, answeredBy: call.status === 'answered' ? { model, version, digest } : undefined };
}

/** Rate limits of each key, as the definitions of the models have them (`serving.rateLimit`). */
function createAdmission(models: Models, { rateLimitKeysMax }: Limits): LanguageModelsDependencies['admit'] {
  const limiters = new Map<string, RateLimiter>();
  return ({ name, version }, callerId) => {
    const { rateLimit } = models.resolve(name, version).serving;
    if (!rateLimit) return undefined;
    let limiter = limiters.get(name);
    if (!limiter) {
      limiter = new RateLimiter(name, rateLimitKeysMax);
      limiters.set(name, limiter);
    }
    return limiter.take(callerId, rateLimit, performance.now());
  };
}

/** The version of an alias, or under a rollout the one that the key is given to. */
function resolveSplit(models: Models, router: RolloutRouter, name: string, reference?: string, key?: string) {
  const split = router.find(name, reference);
  const found = models.resolve(name, reference);
  if (!split || found.runtime !== 'openai') return found;
  const side = split.sideOf(key);
  const trial = {
    succeeded: (ms: number) => split.succeeded(side, ms),
    failed: (error: unknown) => split.failed(side, error),
  };
  return { ...models.resolve(name, split.plan[side]), trial };
}

/** Embedding models that run on tensors, asked for as many rows at a time as they take. */
function createTensorEmbeddings(models: Models, serving: Serving): TensorPort {
  return {
    async embed({ model: asked, inputs, by, stickyKey: given, signal, deadlineMs, onQuota }) {
      const [model, ref] = splitReference(asked);
      const { signature, serving: options } = models.resolve(model, ref);
      const places = embeddingParts(inputs, options.batchMax);
      const parts = places.map((part) => part.map((place) => inputs[place]!));
      // Vectors of two versions cannot be compared: under a rollout all parts have one key.
      const stickyKey = given ?? (parts.length > 1 ? newId('req') : undefined);
      const shared = { model, ref, caller: by, stickyKey, signal, deadlineMs, onQuota };
      const answers = await Promise.all(
        parts.map((part, index) =>
          serving.infer({ ...shared, inputs: embeddingInputs(signature, part), isPart: index > 0 }),
        ),
      );
      const { model: name, version, digest } = answers[0]!;
      const vectors = new Array<number[]>(inputs.length);
      for (const [index, { outputs }] of answers.entries())
        for (const [row, vector] of embeddingVectors(outputs, parts[index]!).entries())
          vectors[places[index]![row]!] = vector;
      return {
        ...{ model: name, version, digest, vectors },
        costMicroUsd: answers.reduce((sum, answer) => sum + answer.costMicroUsd, 0),
      };
    },
  };
}
