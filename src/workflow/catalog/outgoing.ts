import type { Destination } from '../../kernel/destination.ts';
import { AiosError } from '../../kernel/errors.ts';
import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import { FlowError, standardError } from './flow-errors.ts';
import type { CallPrimitive, StepContext } from './primitive.ts';
import { type AuditPort, actorOf } from './records.ts';

/** Where a call sends what it is given. */
export interface CallTarget {
  /** Undefined for an invalid address. */
  readonly to: Destination | undefined;
  /** JSON Pointer of its policy of authentication. */
  readonly policyAt?: string | undefined;
}

/** Where the secrets of flows come from: the values at the places named, and those values, which nothing that is kept may hold. */
export interface SecretsPort {
  /** @throws AiosError `connectors.secret_refused` for a secret that may not go there */
  fill(
    input: JsonObject,
    places: readonly string[],
    target: CallTarget,
  ): { input: JsonObject; values: readonly string[] };
}

/** A value that short would blank out half of an answer. */
const REDACTED_LENGTH_MIN = 4;

const text = { type: 'string' };
const texts = { type: 'array', items: text };
const object = (properties: JsonObject, required: string[] = []): JsonObject => ({
  type: 'object',
  additionalProperties: false,
  properties,
  required,
});
const login: JsonObject = {
  ...object({ username: text, password: text, use: text }),
  oneOf: [{ required: ['use'] }, { required: ['username', 'password'] }],
};
const token = object({ token: text, type: text }, ['token', 'type']);
const ENCODINGS = ['application/x-www-form-urlencoded', 'application/json'];
const oauth2: JsonObject = {
  ...object({
    use: text,
    authority: text,
    endpoints: object({ token: text, revocation: text, introspection: text }),
    grant: {
      enum: [
        'client_credentials',
        'password',
        'refresh_token',
        'urn:ietf:params:oauth:grant-type:token-exchange',
      ],
    },
    client: object({
      id: text,
      secret: text,
      assertion: text,
      authentication: {
        enum: ['client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt', 'none'],
      },
    }),
    request: object({ encoding: { enum: ENCODINGS } }),
    issuers: texts,
    scopes: texts,
    audiences: texts,
    username: text,
    password: text,
    subject: token,
    actor: token,
  }),
  oneOf: [{ required: ['use'] }, { required: ['authority', 'grant'] }],
};

/** A policy of authentication (OWS 1.0.3, "Authentication") as it stands once names are resolved: credentials are secrets by name. */
export const AUTHENTICATION: JsonObject = {
  ...object({
    basic: login,
    bearer: {
      ...object({ token: text, use: text }),
      oneOf: [{ required: ['use'] }, { required: ['token'] }],
    },
    digest: login,
    oauth2,
    oidc: oauth2,
  }),
  minProperties: 1,
  maxProperties: 1,
};

/** An address, with or without its authentication (OWS 1.0.3, "Endpoint"). */
export const ENDPOINT: JsonObject = {
  ...object({ uri: text, authentication: AUTHENTICATION }, ['uri']),
  type: ['string', 'object'],
};

export function endpointOf(endpoint: Json | undefined): {
  uri: string;
  authentication: JsonObject | undefined;
} {
  if (!isObject(endpoint)) return { uri: String(endpoint), authentication: undefined };
  return { uri: String(endpoint.uri), authentication: endpoint.authentication as JsonObject | undefined };
}

/** No JSON has a member of this name: neither data nor an operator can give what stands under it. */
const FIXED = Symbol('fixed by the definition');

/** What a definition fixes of a call: a document's operation, the places of its secrets, the expressions of a subscription. */
export interface Fixed {
  readonly secretsAt?: readonly string[];
  readonly operation?: JsonObject;
  readonly detached?: boolean;
  readonly conditions?: unknown;
  /** Takes each message of a subscription as it comes; true when it wants no more. */
  readonly sink?: (message: Json) => boolean;
}

/**
 * A primitive with what its definition fixes: it is the flow's own, and needs no place in the journal.
 *
 * @example bound(primitive, { secretsAt: ['/headers/x-key'] })
 */
export function bound(primitive: CallPrimitive, fixed: Fixed): CallPrimitive {
  return {
    ...primitive,
    run: (input, context) => primitive.run(withFixed(input, { ...fixedOf(input), ...fixed }), context),
  };
}

/** An input with what is fixed for this call only. */
export function withFixed(input: JsonObject, fixed: Fixed): JsonObject {
  return Object.assign({ ...input }, { [FIXED]: fixed });
}

/** What `bound` and `withFixed` gave. */
export function fixedOf(input: JsonObject): Fixed {
  return (input as { [FIXED]?: Fixed })[FIXED] ?? {};
}

/**
 * A primitive that calls out: the secrets at `secretsAt` (fixed by `bound`) are filled in for the call alone, and taken out of its output and of its errors,
 * for a server may echo what it was sent.
 *
 * @param targetOf where an input goes: what secrets may be sent there is the operator's to say
 */
export function outgoing(
  secrets: SecretsPort,
  primitive: CallPrimitive,
  targetOf: (input: JsonObject) => CallTarget,
): CallPrimitive {
  return {
    ...primitive,
    async run(given, context) {
      const { secretsAt: places = [] } = fixedOf(given);
      let values: readonly string[] = [];
      try {
        if (places.length === 0) return await primitive.run(given, context);
        const filled = secrets.fill(given, places, targetOf(given));
        values = filled.values.filter((value) => value.length >= REDACTED_LENGTH_MIN);
        const result = await primitive.run(withoutInSink(filled.input, values), context);
        return values.length === 0 ? result : { ...result, output: without(result.output, values) };
      } catch (error) {
        throw told(error, values, context.stepKey);
      }
    },
  };
}

/** A call that can be made to read or to act. */
interface OutgoingCall<Answer> {
  /** Of the primitive that acts; the one that reads is `<name>-read`. */
  readonly name: string;
  readonly inputSchema: JsonObject;
  readonly call: (input: JsonObject, context: StepContext) => Promise<Answer>;
  readonly outputOf: (answer: Answer) => Json;
  /** What the audit log says of a call that acted. */
  readonly actionOf: (input: JsonObject, answer: Answer) => { action: string; payload: JsonObject };
  readonly targetOf: (input: JsonObject) => CallTarget;
}

/**
 * The two primitives of a call: reading is repeated after a crash, acting is behind a barrier and in the audit log.
 *
 * @example readingAndActing(secrets, audit, { name: 'http', inputSchema, call, outputOf, actionOf, targetOf })
 */
export function readingAndActing<Answer>(
  secrets: SecretsPort,
  audit: AuditPort,
  { name, inputSchema, call, outputOf, actionOf, targetOf }: OutgoingCall<Answer>,
): [CallPrimitive, CallPrimitive] {
  const reading: CallPrimitive = {
    name: `${name}-read`,
    version: 1,
    kind: 'costly',
    inputSchema,
    run: async (input, context) => ({ output: outputOf(await call(input, context)) }),
  };
  const acting: CallPrimitive = {
    name,
    version: 1,
    kind: 'effect',
    inputSchema,
    async run(input, context) {
      const answer = await call(input, context);
      const { action, payload } = actionOf(input, answer);
      return { output: outputOf(answer), writes: [auditOf(audit, context, action, payload)] };
    },
  };
  return [outgoing(secrets, reading, targetOf), outgoing(secrets, acting, targetOf)];
}

/** Messages that are taken while they come are no output: what was filled in is taken out of each. */
function withoutInSink(input: JsonObject, values: readonly string[]): JsonObject {
  const { sink, ...fixed } = fixedOf(input);
  if (!sink || values.length === 0) return input;
  return withFixed(input, { ...fixed, sink: (message) => sink(without(message, values)) });
}

/** The audit entry of a call that acts. */
export function auditOf(audit: AuditPort, context: StepContext, action: string, payload: JsonObject) {
  const { runId, stepKey, idempotencyKey, nowMs } = context;
  return audit({
    kind: 'action',
    action,
    actor: actorOf(context),
    object: `run:${runId}`,
    at: nowMs,
    payload: { stepKey, idempotencyKey, ...payload },
  });
}

function without(value: Json, secrets: readonly string[]): Json {
  if (typeof value === 'string')
    return secrets.reduce((clean, secret) => clean.replaceAll(secret, '***'), value);
  if (Array.isArray(value)) return value.map((item) => without(item, secrets));
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [without(name, secrets), without(member, secrets)]),
  );
}

/** The error of an answer has the status of that answer; a secret that is not there, or not for this server, is an error of authorization (dsl.md, "Secret"). */
function told(error: unknown, secrets: readonly string[], stepKey: string): unknown {
  if (!(error instanceof Error)) return error;
  const message = String(without(error.message, secrets));
  if (error instanceof FlowError)
    return new FlowError(without({ ...error.body } as JsonObject, secrets) as never);
  if (!(error instanceof AiosError)) return error;
  const status = Number(error.extensions.remoteStatus);
  if (error.code === 'connectors.variable_unset' || error.code === 'connectors.secret_refused')
    return standardError('authorization', 403, message, stepKey);
  if (status > 0) return standardError('communication', status, message, stepKey);
  return new AiosError(error.code, { detail: message, extensions: error.extensions });
}
