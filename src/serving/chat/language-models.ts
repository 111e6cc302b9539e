import { AiosError } from '../../kernel/errors.ts';
import type { JsonObject } from '../../kernel/json.ts';
import type { Limits } from '../../kernel/limits.ts';
import type { Quota } from '../../kernel/quota.ts';
import { Slots } from '../../kernel/slots.ts';
import { type CallLogPort, CallRecord } from './call-record.ts';
import { CallScopes } from './call-scope.ts';
import { completed, streamed } from './completions.ts';
import { embedded } from './embeddings.ts';
import { type Fallback, type LanguageModel, parseEndpoint, type Target } from './endpoint.ts';
import type { AnsweredBy, LanguageCall, RegisteredVersion } from './language-call.ts';
import { countHit, type MeteringDependencies, openBill } from './metering.ts';
import { OpenCall, type PreparedCall } from './open-call.ts';
import { splitReference } from './reference.ts';
import { checkRequest, mostOf, questionOf } from './request.ts';
import { cacheKey, type KeptAnswer, keptForMs, type Leader, ResponseCache } from './response-cache.ts';
import { Route } from './routing.ts';
import { StructuredOutput } from './structured-output.ts';
import { embeddedByTensors, type TensorPort } from './tensor-embeddings.ts';
import type { Upstream } from './upstream.ts';

export interface LanguageModelsDependencies extends MeteringDependencies {
  models: {
    /** From memory; under a rollout by the key. @throws AiosError when there is no such model, version or alias */
    resolve(name: string, reference?: string, stickyKey?: string): RegisteredVersion;
  };
  upstream: Upstream;
  tensors: TensorPort;
  /** Counts a call against what its caller may ask of a model, and says what is left of it. @throws AiosError `serving.rate_limited` */
  admit(version: RegisteredVersion, callerId: string): Quota | undefined;
  log?: CallLogPort | undefined;
  limits: Pick<
    Limits,
    | 'chatAnswerMs'
    | 'chatSharedStreamMs'
    | 'chatOutputTokensMax'
    | 'chatCacheMs'
    | 'chatCacheBytesMax'
    | 'requestLogBytesMax'
  >;
}

type WholeAnswer = AnsweredBy & { readonly body: JsonObject };
type Streaming = AnsweredBy & { readonly chunks: AsyncIterable<JsonObject> };

/**
 * Calls of language models at OpenAI-compatible servers: routed, bounded, metered, held to the format that was asked for, and kept.
 *
 * @example await new LanguageModels(dependencies).complete({ model: 'assistant', request: { messages }, by, signal })
 */
export class LanguageModels {
  readonly #deps: LanguageModelsDependencies;
  readonly #structured = new StructuredOutput();
  readonly #cache: ResponseCache;
  readonly #scopes = new CallScopes();
  readonly #routes = new WeakMap<LanguageModel, { readonly route: Route; readonly slots: Slots }>();

  constructor(dependencies: LanguageModelsDependencies) {
    this.#deps = dependencies;
    this.#cache = new ResponseCache(dependencies.limits.chatCacheBytesMax);
  }

  /**
   * A chat completion, whole.
   *
   * @throws AiosError `models.unknown_model`, `chat.wrong_model`, `request.invalid`, `serving.rate_limited`, `budgets.exceeded`, `request.overloaded`, `chat.refused`,
   * `chat.upstream_failed`, `chat.upstream_limited`, `chat.output_invalid`, `serving.timeout`, `serving.canceled`
   */
  async complete(call: LanguageCall): Promise<WholeAnswer> {
    return this.#recorded(call, this.#prepare(call, 'chat'), completed);
  }

  /** Embeddings of texts or token ids, as numbers. @throws AiosError as `complete`, and those of inferences for a model with tensors */
  async embed(call: LanguageCall): Promise<WholeAnswer> {
    const found = this.#resolve(call.model);
    if (found.runtime === 'openai') return this.#recorded(call, this.#prepare(call, 'embeddings'), embedded);
    checkRequest('embeddings', call.request);
    const scope = this.#open(call);
    try {
      const answer = await embeddedByTensors(
        this.#deps,
        { ...call, stickyKey: keyOf(call) },
        found,
        scope.signal,
      );
      return { ...answer, cache: undefined };
    } finally {
      scope.end();
    }
  }

  /**
   * A chat completion as chunks, the usage in one of its own at the end. Resolves when the first is there. Whoever takes it must go into the loop over
   * `chunks`: its end, or leaving it, ends the call.
   *
   * @throws AiosError as `complete`; from the loop also `chat.stream_cut`
   */
  async stream(call: LanguageCall): Promise<Streaming> {
    const prepared = this.#prepare(call, 'chat');
    const { record } = prepared;
    if (!record) return this.#streaming(call, prepared);
    try {
      const answer = await this.#streaming(call, prepared);
      return { ...answer, chunks: record.streamed(answer.chunks, answer.cache) };
    } catch (error) {
      record.end(undefined, error);
      throw error;
    }
  }

  /** Calls of a model that wait for a slot. */
  queued(endpoint: JsonObject): number {
    return this.#routes.get(parseEndpoint(endpoint))?.slots.queued ?? 0;
  }

  /** Ends every call that is under way. */
  close(): void {
    this.#scopes.close();
  }

  async #streaming(call: LanguageCall, prepared: PreparedCall): Promise<Streaming> {
    const { model, version, digest } = prepared;
    const by = { model, version, digest };
    const scope = this.#open(call);
    let leader: Leader | undefined;
    try {
      const found = await this.#look(call, prepared, 'stream', scope.signal);
      if (found && 'answer' in found) {
        scope.end();
        return { chunks: replayed(found.answer, prepared.asked), ...by, cache: 'hit' };
      }
      leader = found?.leader;
      const open = await this.#begin(prepared, scope.signal);
      const chunks = await streamed(open).catch(async (error: unknown) => {
        await open.end(error);
        throw error;
      });
      return { chunks: kept(chunks, leader, scope.end), ...by, cache: leader && 'miss' };
    } catch (error) {
      leader?.settle(undefined);
      scope.end();
      throw error;
    }
  }

  #open({ signal, deadlineMs }: LanguageCall) {
    return this.#scopes.open(signal, this.#deps.limits.chatAnswerMs, deadlineMs);
  }

  #prepare(call: LanguageCall, task: LanguageModel['task']): PreparedCall {
    const { model: asked, request, by, step, onQuota } = call;
    const found = this.#languageModel(asked, keyOf(call));
    const { name, version, digest, endpoint, trial } = found;
    const languageModel = parseEndpoint(endpoint);
    if (languageModel.task !== task)
      throw new AiosError('chat.wrong_model', { detail: `${asked} is a model for ${languageModel.task}.` });
    checkRequest(task, request);
    const quota = step ? undefined : this.#deps.admit(found, by.id);
    if (quota) onQuota?.(quota);
    return {
      operation: task,
      model: name,
      version,
      digest,
      by,
      step,
      trial,
      asked,
      languageModel,
      fallbacks: languageModel.fallbacks.flatMap((fallback) => this.#targetsOf(fallback)),
      question: questionOf(request, languageModel),
      validator: task === 'chat' ? this.#structured.validatorOf(request) : undefined,
      onQuota,
      record: this.#draw(found, call, task),
    };
  }

  /** By chance, as the definition says. */
  #draw(
    { name: model, version, digest, serving }: RegisteredVersion,
    { request, by, step }: LanguageCall,
    operation: LanguageModel['task'],
  ): CallRecord | undefined {
    const options = serving?.log;
    const { log, limits } = this.#deps;
    if (!options || !log || Math.random() >= options.sample) return undefined;
    const { redact = [] } = options;
    const bytesMax = limits.requestLogBytesMax;
    const drawn = { operation, model, version, digest, caller: by, step, request, redact, bytesMax };
    return new CallRecord(drawn, log);
  }

  #recorded(
    call: LanguageCall,
    prepared: PreparedCall,
    work: (open: OpenCall) => Promise<JsonObject>,
  ): Promise<WholeAnswer> {
    const answering = this.#whole(call, prepared, work);
    return prepared.record ? prepared.record.whole(answering) : answering;
  }

  #resolve(asked: string, key?: string): RegisteredVersion {
    const [name, reference] = splitReference(asked);
    return this.#deps.models.resolve(name, reference, key);
  }

  #languageModel(asked: string, key?: string): RegisteredVersion & { endpoint: JsonObject } {
    const found = this.#resolve(asked, key);
    if (found.runtime === 'openai' && found.endpoint) return { ...found, endpoint: found.endpoint };
    throw new AiosError('chat.wrong_model', { detail: `${asked} has the runtime ${found.runtime}.` });
  }

  /** A fallback to another model means its own servers, not its fallbacks: chains end. */
  #targetsOf(fallback: Fallback): readonly Target[] {
    if (!('registered' in fallback)) return [fallback];
    return parseEndpoint(this.#languageModel(fallback.registered).endpoint).targets;
  }

  async #whole(
    call: LanguageCall,
    prepared: PreparedCall,
    work: (open: OpenCall) => Promise<JsonObject>,
  ): Promise<WholeAnswer> {
    const { model, version, digest, asked } = prepared;
    const by = { model, version, digest };
    const scope = this.#open(call);
    let leader: Leader | undefined;
    let body: JsonObject | undefined;
    try {
      const found = await this.#look(call, prepared, 'whole', scope.signal);
      if (found && 'answer' in found)
        return { body: { ...found.answer[0], model: asked }, ...by, cache: 'hit' };
      leader = found?.leader;
      body = await this.#metered(prepared, scope.signal, work);
      return { body, ...by, cache: leader && 'miss' };
    } finally {
      leader?.settle(body && [body]);
      scope.end();
    }
  }

  async #metered<T>(
    prepared: PreparedCall,
    signal: AbortSignal,
    work: (open: OpenCall) => Promise<T>,
  ): Promise<T> {
    const open = await this.#begin(prepared, signal);
    let fault: unknown;
    try {
      return await work(open);
    } catch (error) {
      fault = error;
      throw error;
    } finally {
      await open.end(fault);
    }
  }

  /** Sets aside what the call may use, and waits for a slot. */
  async #begin(prepared: PreparedCall, signal: AbortSignal): Promise<OpenCall> {
    const { languageModel, question, asked, operation, fallbacks } = prepared;
    const outputTokensMax = languageModel.outputTokensMax ?? this.#deps.limits.chatOutputTokensMax;
    const most = mostOf(question, operation, [...languageModel.targets, ...fallbacks], outputTokensMax);
    const bill = await openBill(this.#deps, prepared, most);
    if (bill.quota) prepared.onQuota?.(bill.quota);
    prepared.record?.opened(bill);
    const { route, slots } = this.#routeOf(languageModel);
    try {
      const release = await slots.take(languageModel, asked, signal);
      return new OpenCall({ prepared, signal, bill, route, upstream: this.#deps.upstream, release });
    } catch (error) {
      await bill.close(error);
      throw error;
    }
  }

  #routeOf(model: LanguageModel): { readonly route: Route; readonly slots: Slots } {
    let found = this.#routes.get(model);
    if (!found) {
      found = { route: new Route(), slots: new Slots() };
      this.#routes.set(model, found);
    }
    return found;
  }

  /** The kept answer or the part of the one that asks; undefined when answers to such requests are not kept. */
  async #look(
    { request, isFresh }: LanguageCall,
    prepared: PreparedCall,
    form: 'whole' | 'stream',
    signal: AbortSignal,
  ): Promise<{ answer: KeptAnswer } | { leader: Leader } | undefined> {
    const { model, version, languageModel, question } = prepared;
    const ttlMs = isFresh ? 0 : keptForMs(languageModel, request, this.#deps.limits.chatCacheMs);
    if (ttlMs === 0) return undefined;
    const { encoding_format: _, ...asked } = question;
    // A stream is whole when its caller has read it, who may be slow, or never come to its end.
    const waitMs = form === 'stream' ? this.#deps.limits.chatSharedStreamMs : this.#deps.limits.chatAnswerMs;
    const key = cacheKey(`${model}@${version} ${form}`, asked);
    const found = await this.#cache.look(key, { ttlMs, waitMs }, signal);
    if (found && 'answer' in found) countHit(prepared);
    return found;
  }
}

function keyOf({ stickyKey, step, request }: LanguageCall): string | undefined {
  return stickyKey ?? step?.runId ?? (typeof request.user === 'string' ? request.user : undefined);
}

/** Hands chunks on, and all of them to the others who wait for the same answer. */
async function* kept(
  chunks: AsyncIterable<JsonObject>,
  leader: Leader | undefined,
  end: () => void,
): AsyncGenerator<JsonObject, void> {
  const all: JsonObject[] = [];
  let answer: JsonObject[] | undefined;
  try {
    for await (const chunk of chunks) {
      if (leader) all.push(chunk);
      yield chunk;
    }
    answer = all;
  } finally {
    leader?.settle(answer);
    end();
  }
}

async function* replayed(chunks: KeptAnswer, model: string): AsyncGenerator<JsonObject, void> {
  for (const chunk of chunks) yield { ...chunk, model };
}
