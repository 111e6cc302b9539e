import { type AiosError, toAiosError } from '../../kernel/errors.ts';
import { isObject, type JsonObject } from '../../kernel/json.ts';
import { type LanguageModel, parseEndpoint, type Target } from './endpoint.ts';
import { nameOf, type Upstream } from './upstream.ts';

/**
 * Asks every server of an endpoint for its model: by its list of models, and where that does not name it, by a call of one token. One that is away is
 * passed over while another is there.
 *
 * @returns why a server refuses, or undefined when none does
 * @throws AiosError of the last that was away when all are
 * @example await verifyEndpoint(upstream, { url: 'http://127.0.0.1:8000/v1', model: 'qwen2.5-7b' }, signal)
 */
export async function verifyEndpoint(
  upstream: Upstream,
  endpoint: JsonObject,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { task, targets, fallbacks } = parseEndpoint(endpoint);
  const all = [...targets, ...fallbacks.filter((one): one is Target => 'url' in one)];
  const faults = await Promise.all(
    all.map((target) =>
      verifyTarget(upstream, target, task, signal).then(
        () => undefined,
        (error: unknown) => ({ target, error: toAiosError(error) }),
      ),
    ),
  );
  const refused = faults.find((fault) => fault && isRefusal(fault.error));
  if (refused) return `${nameOf(refused.target)}: ${refused.error.message}`;
  const [away] = faults;
  if (away && faults.every(Boolean)) throw away.error;
  return undefined;
}

function isRefusal({ code }: AiosError): boolean {
  return code === 'chat.misconfigured' || code === 'chat.refused';
}

async function verifyTarget(
  upstream: Upstream,
  target: Target,
  task: LanguageModel['task'],
  signal: AbortSignal,
): Promise<void> {
  const listed = await upstream.get(target, '/models', signal).catch((error: unknown) => {
    if (isRefusal(toAiosError(error))) return undefined; // not every server has the list
    throw error;
  });
  const isListed =
    Array.isArray(listed?.data) && listed.data.some((one) => isObject(one) && one.id === target.model);
  if (isListed) return;
  if (task === 'embeddings') await upstream.ask(target, '/embeddings', { input: 'a' }, signal);
  else
    await upstream.ask(
      target,
      '/chat/completions',
      { messages: [{ role: 'user', content: 'a' }], max_tokens: 1 },
      signal,
    );
}
