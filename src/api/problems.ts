import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { AiosError, type Issue, toAiosError } from '../kernel/errors.ts';
import type { Limits } from '../kernel/limits.ts';
import { issueOf, MAX_ISSUES } from '../kernel/schema.ts';
import { isProtocolPath, withError } from '../serving/protocol/open-inference.ts';
import { valueFault } from '../store/value-fault.ts';
import { isMlflowPath, isTrace, mlflowError } from './mlflow-errors.ts';
import { isOpenAiPath, OPENAI_ROUTES, openAiError } from './openai-errors.ts';
import { isSchemaRegistryPath, schemaRegistryError } from './schema-registry-errors.ts';

/** Errors as RFC 9457 problems, whatever threw them: ours, the framework's validation, or a fault. */
export function answerProblems(
  server: FastifyInstance,
  limits: Limits,
  onFault: (error: AiosError) => void,
): void {
  server.setErrorHandler((error: FastifyError, request, reply) => {
    const { problem, headers } = problemAnswer(fromFramework(error, limits, request) ?? error, onFault);
    for (let i = 0; i < headers.length; i += 2) reply.header(headers[i]!, headers[i + 1]!);
    return send(reply, problem, request.url);
  });
  server.setNotFoundHandler((request, reply) => {
    return send(reply.type('application/problem+json'), noRoute(request), request.url);
  });
}

/** Of MLflow's API it says what is not here at all, of OpenAI's what there is. */
export function noRoute({ method, url }: { method: string; url: string }): AiosError {
  const detail = `${method} ${url} is not a route.${isOpenAiPath(url) ? ` ${OPENAI_ROUTES}` : ''}`;
  return new AiosError(isTrace(url) ? 'experiments.no_traces' : 'request.not_found', { detail });
}

/** What an error is answered with: the problem, and its headers as name, value, name, value, … */
export function problemAnswer(
  error: Error,
  onFault: (error: AiosError) => void,
): { problem: AiosError; headers: string[] } {
  const problem = valueFault(error) ?? toAiosError(error);
  if (problem.status >= 500) onFault(problem);
  const headers = ['content-type', 'application/problem+json'];
  const { retryAfterMs: told } = problem.extensions; // also by a server behind us that failed, with whatever status
  if (problem.status === 429 || problem.status === 503 || told !== undefined) {
    const afterMs = Number(told ?? 1000);
    headers.push('retry-after', String(Math.max(1, Math.ceil(afterMs / 1000))));
  }
  // Waiting seconds does not help, and OpenAI's clients try again by themselves: they go by this.
  if (problem.code === 'budgets.exceeded') headers.push('x-should-retry', 'false');
  if (problem.status === 401) headers.push('www-authenticate', 'Bearer');
  // What was not foreseen may name tables, paths or addresses: it goes to the log, not to the caller.
  return { problem: problem.code === 'internal' ? new AiosError('internal') : problem, headers };
}

/** Sends an error as the clients of that address read it. */
function send(reply: FastifyReply, error: AiosError, url: string): FastifyReply {
  if (isSchemaRegistryPath(url)) {
    const { status, body } = schemaRegistryError(error);
    return reply.code(status).type('application/json').send(body);
  }
  reply.code(error.status);
  if (isOpenAiPath(url)) return reply.type('application/json').send(openAiError(error));
  if (isMlflowPath(url)) return reply.type('application/json').send(mlflowError(error));
  const problem = error.toProblem();
  return reply.send(isProtocolPath(url) ? withError(problem) : problem);
}

function fromFramework(error: FastifyError, limits: Limits, request: FastifyRequest): AiosError | undefined {
  if (error.validation) {
    const issues = error.validation.slice(0, MAX_ISSUES).map((fault): Issue => {
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
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
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
