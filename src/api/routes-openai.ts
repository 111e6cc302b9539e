import type { OutgoingHttpHeaders } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { AiosError } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { Quota } from '../kernel/quota.ts';
import type { Models } from '../models/models.ts';
import { embeddingsAsBase64 } from '../serving/chat/embeddings.ts';
import type { AnsweredBy, LanguageCall } from '../serving/chat/language-call.ts';
import type { LanguageModels } from '../serving/chat/language-models.ts';
import { ResponsesAnswer } from '../serving/chat/responses-answer.ts';
import { chatOfResponses } from '../serving/chat/responses-request.ts';
import { embeddingForm } from '../serving/protocol/embedding-tensors.ts';
import { STICKY_HEADER } from '../serving/protocol/infer-parameters.ts';
import { chatEvents, responsesEvents, type StreamForm, sendEvents } from './openai-streams.ts';
import { setHeaders } from './problems.ts';
import { openAiQuotaHeaders, quotaHeaders } from './quota-headers.ts';
import { actorOf, type Caller, route } from './routes.ts';
import { AnyObject } from './shapes.ts';

interface Dependencies {
  languageModels: LanguageModels;
  models: Models;
}

const tag = 'openai';
const Ask = Type.Object({ model: Type.String({ minLength: 1 }) }, { additionalProperties: true });
const DEADLINE = 'x-aios-deadline-ms';

/** OpenAI's protocol in front of the language models of the registry: its clients work unchanged, with an API key of ours as theirs. */
export function openAiRoutes(dependencies: Dependencies): (server: FastifyInstance) => void {
  return (server) => {
    // Streams would hold up a server that stops. (The API's document is made of routes over nothing.)
    server.addHook('preClose', async () => dependencies.languageModels?.close());
    askRoutes(server, dependencies);
    listRoutes(server, dependencies);
  };
}

function askRoutes(server: FastifyInstance, { languageModels }: Dependencies): void {
  const shared = { tag, permission: 'serving.infer', body: Ask, answer: AnyObject };
  route(server, {
    ...shared,
    method: 'POST',
    url: '/v1/chat/completions',
    summary: 'Call a language model, answered whole or as server-sent events (OpenAI chat completions)',
    handle: async ({ body, caller, request, reply }) => {
      const call = callOf(body, caller, request, reply);
      if (call.request.stream === true) return stream(call, languageModels, reply, chatEvents(call.request));
      const answer = await languageModels.complete(call);
      tell(answer, reply);
      return answer.body;
    },
  });
  route(server, {
    ...shared,
    method: 'POST',
    url: '/v1/responses',
    summary:
      'Call a language model, answered whole or as a stream of events; nothing is stored between calls (OpenAI responses)',
    handle: async ({ body, caller, request, reply }) => {
      const asked = body as unknown as JsonObject;
      const call = { ...callOf(body, caller, request, reply), request: chatOfResponses(asked) };
      const form = new ResponsesAnswer(asked);
      if (asked.stream === true) return stream(call, languageModels, reply, responsesEvents(form));
      const answer = await languageModels.complete(call);
      tell(answer, reply);
      form.take(answer.body);
      form.end();
      return form.response;
    },
  });
  route(server, {
    ...shared,
    method: 'POST',
    url: '/v1/embeddings',
    summary: 'Embeddings of one or many texts, as numbers or base64 (OpenAI embeddings)',
    handle: async ({ body, caller, request, reply }) => {
      const call = callOf(body, caller, request, reply);
      const answer = await languageModels.embed(call);
      tell(answer, reply);
      return call.request.encoding_format === 'base64' ? embeddingsAsBase64(answer.body) : answer.body;
    },
  });
}

function listRoutes(server: FastifyInstance, { models }: Dependencies): void {
  const shared = { tag, permission: 'models.read', answer: AnyObject } as const;
  const all = () => models.list().flatMap((model) => shapesOf(model));
  route(server, {
    ...shared,
    method: 'GET',
    url: '/v1/models',
    summary: 'The models that can be called here, also by each of their aliases (OpenAI models)',
    handle: () => ({ object: 'list', data: all() }),
  });
  route(server, {
    ...shared,
    method: 'GET',
    url: '/v1/models/:id',
    summary: 'One of them',
    params: Type.Object({ id: Type.String() }),
    handle: ({ params: { id } }) => {
      const found = all().find((one) => one.id === id) ?? versionOf(models, id);
      if (found) return found;
      throw new AiosError('models.unknown_model', { detail: `There is no language model “${id}”.` });
    },
  });
}

/** A version that is named by its number, `name@3`: not in the list, and asked as any other. */
function versionOf(models: Models, id: string): JsonObject | undefined {
  const [, name, number] = /^([^@]+)@([1-9]\d{0,8})$/.exec(id) ?? [];
  const model = models.list().find((one) => one.name === name);
  const version = model?.versions.find((one) => one.version === Number(number));
  return version && shapeOf(id, version);
}

/** A model under its name, which means its champion, and as `name@alias`. */
function shapesOf({ name, versions, aliases }: ReturnType<Models['get']>): JsonObject[] {
  return Object.entries(aliases).flatMap(([alias, number]) => {
    const found = versions.find(({ version }) => version === number);
    if (!found) return [];
    const ids = alias === 'champion' ? [name, `${name}@champion`] : [`${name}@${alias}`];
    return ids.map((id) => shapeOf(id, found)).filter((shape) => shape !== undefined);
  });
}

/** Nothing for a version that this door does not ask. */
function shapeOf(id: string, found: ReturnType<Models['get']>['versions'][number]): JsonObject | undefined {
  const { createdAt, version, endpoint, runtime, signature } = found;
  if (runtime !== 'openai' && !embeddingForm(signature)) return undefined;
  const task = runtime === 'openai' ? (endpoint?.task ?? 'chat') : 'embeddings';
  return { id, object: 'model', created: Math.floor(createdAt / 1000), owned_by: 'aios', version, task };
}

function callOf(
  body: { model: string },
  caller: Caller,
  request: FastifyRequest,
  reply: FastifyReply,
): LanguageCall {
  const gone = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort();
  });
  return {
    model: body.model,
    request: body as unknown as JsonObject,
    by: actorOf(caller),
    signal: gone.signal,
    stickyKey: request.headers[STICKY_HEADER] as string | undefined,
    deadlineMs: deadlineOf(request),
    isFresh: /no-(cache|store)/.test(request.headers['cache-control'] ?? ''),
    onQuota: quotaTeller(reply),
  };
}

/** @throws AiosError `request.invalid` for what is not a time: taken for none, its caller would wait longer than it says */
function deadlineOf({ headers }: FastifyRequest): number | undefined {
  const given = headers[DEADLINE];
  if (given === undefined) return undefined;
  const deadlineMs = Number(given);
  if (deadlineMs > 0) return deadlineMs;
  throw new AiosError('request.invalid', { detail: `${DEADLINE} is a number of milliseconds above 0.` });
}

/** Sets what is left of each limit at once: an error that comes after keeps it. */
function quotaTeller(reply: FastifyReply): (quota: Quota) => void {
  const told = new Map<string, Quota>(); // by name: each part of a request may be counted
  return (quota) => {
    told.set(quota.name, quota);
    const quotas = [...told.values()];
    setHeaders(reply, [...quotaHeaders(quotas), ...openAiQuotaHeaders(quotas)]);
  };
}

function tell({ model, version, cache }: AnsweredBy, reply: FastifyReply): void {
  reply.header('x-aios-model', `${model}@${version}`);
  if (cache) reply.header('x-aios-cache', cache);
}

/** Faults before the first chunk are answers like any other; later ones are the last event of the stream. */
async function stream(
  call: LanguageCall,
  models: LanguageModels,
  reply: FastifyReply,
  form: StreamForm,
): Promise<void> {
  const { chunks, ...answer } = await models.stream(call);
  tell(answer, reply);
  reply.hijack();
  await sendEvents(reply.raw, reply.getHeaders() as OutgoingHttpHeaders, chunks, form, call.signal);
}
