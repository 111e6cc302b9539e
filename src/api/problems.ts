import { trace } from '@opentelemetry/api';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { AiosError, type Issue, type Problem, toAiosError } from '../kernel/errors.ts';
import type { Limits } from '../kernel/limits.ts';
import type { Quota } from '../kernel/quota.ts';
import { issueOf, MAX_ISSUES } from '../kernel/schema.ts';
import { isProtocolPath, withError } from '../serving/protocol/open-inference.ts';
import { valueFault } from '../store/value-fault.ts';
import { AllowedMethods } from './allowed-methods.ts';
import type { Cors } from './cors.ts';
import { isMlflowPath, isTrace, mlflowError } from './mlflow-errors.ts';
import { isOpenAiPath, OPENAI_ROUTES, openAiError } from './openai-errors.ts';
import { openAiQuotaHeaders, quotaHeaders } from './quota-headers.ts';
import { isSchemaRegistryPath, schemaRegistryError } from './schema-registry-errors.ts';

/** Told of an error that the server is at fault for, and the request that met it. */
export type OnFault = (error: AiosError, requestId?: string) => void;

declare module 'fastify' {
  interface FastifyInstance {
    allowedMethods: AllowedMethods;
  }
}

/** Errors as RFC 9457 problems, whatever threw them: ours, the framework's validation, or a fault. To be called before routes are added. */
export function answerProblems(server: FastifyInstance, limits: Limits, onFault: OnFault, cors: Cors): void {
  const allowed = new AllowedMethods();
  server.decorate('allowedMethods', allowed);
  server.addHook('onRoute', (options) => allowed.add(options));
  const answer = (error: Error, request: FastifyRequest, reply: FastifyReply) =>
    answerProblem(error, request, reply, onFault);
  server.setErrorHandler((error: FastifyError, request, reply) =>
    answer(fromFramework(error, limits, request) ?? error, request, reply),
  );
  server.setNotFoundHandler((request, reply) =>
    request.method === 'OPTIONS'
      ? answerOptions(request, reply, cors)
      : answer(noRoute(request), request, reply),
  );
}

/** Sets headers that are given as name, value, name, value, … */
export function setHeaders(reply: FastifyReply, headers: readonly string[]): void {
  for (let i = 0; i < headers.length; i += 2) reply.header(headers[i]!, headers[i + 1]!);
}

/** What a caller has left of the limit that refused the call, where that counts requests or tokens. */
export function quotaOf({ extensions }: AiosError): Quota | undefined {
  return extensions.quota as Quota | undefined;
}

/** Answers a request with an error, as the clients of its address read it. */
export function answerProblem(
  error: Error,
  request: FastifyRequest,
  reply: FastifyReply,
  onFault: OnFault,
): FastifyReply {
  const { problem, headers } = problemAnswer(error, onFault, request.id);
  setHeaders(reply, headers);
  const quota = quotaOf(problem);
  if (quota && isOpenAiPath(request.url)) setHeaders(reply, openAiQuotaHeaders([quota]));
  return send(reply, problem, request);
}

/** What an address takes, and for a page of another origin whether it may ask. */
function answerOptions(request: FastifyRequest, reply: FastifyReply, cors: Cors): FastifyReply {
  const { url, headers, server } = request;
  const allow = server.allowedMethods.of(url);
  // The page sees what is wrong with the address only if it may ask.
  const preflight = cors.preflightOf(url, headers);
  if (allow.length === 0 && !preflight) throw noRoute(request);
  if (allow.length > 0) reply.header('allow', [...allow, 'OPTIONS'].join(', '));
  if (preflight) setHeaders(reply, preflight);
  return reply.code(204).send();
}

/** Nothing is at the address, or nothing for this method. Of MLflow's API it says what is not here at all, of OpenAI's what there is. */
export function noRoute({
  method,
  url,
  server,
}: Pick<FastifyRequest, 'method' | 'url' | 'server'>): AiosError {
  if (isTrace(url))
    return new AiosError('experiments.no_traces', { detail: `${method} ${url} is not a route.` });
  const allow = server.allowedMethods.of(url);
  if (allow.length > 0) {
    const detail = `${url} does not support ${method}, only ${allow.join(', ')}.`;
    return new AiosError('request.method', { detail, extensions: { allow } });
  }
  const detail = `${method} ${url} is not a route.${isOpenAiPath(url) ? ` ${OPENAI_ROUTES}` : ''}`;
  return new AiosError('request.not_found', { detail });
}

/** A problem as it is answered: with the ids by which the request is found in the log and, where it is traced, among the traces. */
export function identified(problem: AiosError, requestId: string): Problem {
  const span = trace.getActiveSpan();
  const traceId = span?.isRecording() ? { traceId: span.spanContext().traceId } : {};
  return { ...problem.toProblem(), requestId, ...traceId };
}

/**
 * What an error is answered with: the problem, and its headers as name, value, name, value, …
 *
 * @param counted what is left of the limit that had counted the request, where that did not refuse it
 */
export function problemAnswer(
  error: Error,
  onFault: OnFault,
  requestId: string,
  counted?: Quota,
): { problem: AiosError; headers: string[] } {
  const problem = valueFault(error) ?? toAiosError(error);
  if (problem.status >= 500) onFault(problem, requestId);
  const headers = ['content-type', 'application/problem+json'];
  const afterSeconds = retryAfterSeconds(problem);
  if (afterSeconds !== undefined) headers.push('retry-after', String(afterSeconds));
  const quota = quotaOf(problem) ?? counted;
  if (quota) headers.push(...quotaHeaders([quota]));
  // Waiting seconds does not help, and OpenAI's clients try again by themselves: they go by this.
  if (problem.code === 'budgets.exceeded') headers.push('x-should-retry', 'false');
  if (problem.status === 401) headers.push('www-authenticate', 'Bearer');
  if (problem.status === 405) headers.push('allow', (problem.extensions.allow as string[]).join(', '));
  // What was not foreseen may name tables, paths or addresses: it goes to the log, not to the caller.
  return { problem: problem.code === 'internal' ? new AiosError('internal') : problem, headers };
}

/** When it is worth while to ask again, in whole seconds; undefined for what no waiting helps. */
export function retryAfterSeconds({ status, extensions }: AiosError): number | undefined {
  const { retryAfterMs: told } = extensions; // also by a server behind us that failed, with whatever status
  if (status !== 429 && status !== 503 && told === undefined) return undefined;
  return Math.max(1, Math.ceil(Number(told ?? 1000) / 1000));
}

/** Sends an error as the clients of that address read it. */
function send(reply: FastifyReply, error: AiosError, { url, id }: FastifyRequest): FastifyReply {
  if (isSchemaRegistryPath(url)) {
    const { status, body } = schemaRegistryError(error);
    return reply.code(status).type('application/json').send(body);
  }
  reply.code(error.status);
  if (isOpenAiPath(url)) return reply.type('application/json').send(openAiError(error));
  if (isMlflowPath(url)) return reply.type('application/json').send(mlflowError(error));
  const problem = identified(error, id);
  return reply.send(isProtocolPath(url) ? withError(problem) : problem);
}

type Fault = NonNullable<FastifyError['validation']>[number];

/** A union of constants that nothing of fits is one fault, in the place of one for each of them and one for the union. */
function asChoices(faults: readonly Fault[]): Fault[] {
  return faults.flatMap((fault): Fault[] => {
    const here = faults.filter(({ instancePath }) => instancePath === fault.instancePath);
    const constants = here.filter(({ keyword }) => keyword === 'const');
    if (constants.length === 0 || here.length !== constants.length + 1) return [fault];
    const union = here.find(({ keyword }) => keyword === 'anyOf');
    if (union === undefined) return [fault];
    const allowedValues = constants.map(({ params }) => String(params.allowedValue));
    return fault === union ? [{ ...fault, keyword: 'enum', params: { allowedValues } }] : [];
  });
}

function fromFramework(error: FastifyError, limits: Limits, request: FastifyRequest): AiosError | undefined {
  if (error.validation) {
    const issues = asChoices(error.validation)
      .slice(0, MAX_ISSUES)
      .map((fault): Issue => {
        const { instancePath: path, message = fault.keyword, params } = fault;
        if (fault.keyword === 'enum') {
          const expected = (params.allowedValues as unknown[]).join(', ');
          return { path, message: `must be one of ${expected}`, expected };
        }
        return fault.keyword === 'required' || fault.keyword === 'additionalProperties'
          ? issueOf(fault)
          : { path, message };
      });
    return new AiosError('request.invalid', { issues });
  }
  switch (error.code) {
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
      return new AiosError('request.malformed', { detail: error.message, cause: error });
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return tooLarge(limits, request.routeOptions.bodyLimit);
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return mediaType(request);
    default:
      if (error instanceof SyntaxError)
        return new AiosError('request.malformed', { detail: error.message, cause: error });
      return undefined;
  }
}

/** Bodies that some address takes; text/plain is a default of the framework that none does. */
const MEDIA_TYPES = ['application/json', 'application/x-ndjson', 'application/octet-stream'];

function mediaType({ server, headers }: FastifyRequest): AiosError {
  const taken = MEDIA_TYPES.filter((type) => server.hasContentTypeParser(type)).join(' or ');
  const found = headers['content-type'];
  const told = found
    ? `The content type “${found}” is not read here`
    : 'The body comes without a content type';
  return new AiosError('request.media_type', { detail: `${told}; send ${taken}.` });
}

function tooLarge(limits: Limits, bodyLimit: number): AiosError {
  if (bodyLimit !== limits.requestBytesMax)
    return new AiosError('request.too_large', {
      detail: `Bodies of this route have at most ${bodyLimit} bytes.`,
      extensions: { limit: bodyLimit },
    });
  return new AiosError('request.too_large', {
    detail: `The body is over requestBytesMax, ${limits.requestBytesMax} bytes.`,
    extensions: { limitName: 'requestBytesMax', limit: limits.requestBytesMax },
  });
}
