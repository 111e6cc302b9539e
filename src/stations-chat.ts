import { join } from 'node:path';
import { createGuardedAgent, namesHost } from './connectors/egress.ts';
import { connectorVariables } from './connectors/secrets.ts';
import { Budgets } from './ledger/budgets.ts';
import type { Costs } from './ledger/costs.ts';
import type { Models } from './models/models.ts';
import { OPENAI_ENDPOINT_SCHEMA } from './serving/chat/endpoint.ts';
import { LanguageModels } from './serving/chat/language-models.ts';
import { Upstream } from './serving/chat/upstream.ts';
import { verifyEndpoint } from './serving/chat/verify-endpoint.ts';
import { createOpenAiRuntime } from './serving/runtimes/openai-runtime.ts';
import type { Ground } from './stations.ts';

/** What the runtime of language models asks of a definition. */
export const OPENAI_KIND = { endpoint: OPENAI_ENDPOINT_SCHEMA };

/** The way to the servers of language models, through the guard of what leaves, and the runtime that verifies them. */
export function createOpenAi({ limits, dataDir, closers }: Ground, allowPrivate: readonly string[]) {
  const allowed = allowPrivate.map((name) => name.toLowerCase());
  const variables = connectorVariables({ env: process.env, file: join(dataDir, 'secrets.env') });
  const dispatcher = createGuardedAgent({
    isAllowed: (hostname, port) => allowed.some((name) => namesHost(name, hostname, port)),
    connectionsMax: limits.chatConnectionsMax,
    connectTimeoutMs: limits.httpCallMs,
  });
  closers.push(() => dispatcher.close());
  const upstream = new Upstream({ dispatcher, limits, secret: (name) => variables('secrets', name) });
  const openai = createOpenAiRuntime({
    verify: (endpoint) => verifyEndpoint(upstream, endpoint, AbortSignal.timeout(limits.replicaStartMs)),
  });
  return { upstream, openai };
}

/** The calls of language models, and the budgets over them. */
export function createChat(ground: Ground, costs: Costs, models: Models, upstream: Upstream) {
  const budgets = new Budgets(ground);
  const languageModels = new LanguageModels({
    ...ground,
    models,
    upstream,
    budgets,
    cost: (entry) => costs.entry(entry),
  });
  ground.closers.push(async () => languageModels.close());
  return { budgets, languageModels };
}
