import { destinationOf } from '../../kernel/destination.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import { type CallTarget, ENDPOINT, endpointOf, readingAndActing, type SecretsPort } from './outgoing.ts';
import type { CallPrimitive, StepContext } from './primitive.ts';
import type { AuditPort } from './records.ts';
import { rpc } from './rpc.ts';

/** What these primitives need of the connectors. */
export interface A2aPort {
  call(call: {
    method: string;
    parameters?: JsonObject | undefined;
    uri: string;
    isCard: boolean;
    authentication?: JsonObject | undefined;
    idempotencyKey: string;
    signal: AbortSignal;
  }): Promise<Json>;
}

const READING = [
  'tasks/get',
  'tasks/list',
  'tasks/resubscribe',
  'tasks/pushNotificationConfig/get',
  'tasks/pushNotificationConfig/list',
  'agent/getAuthenticatedExtendedCard',
];
const ACTING = [
  'message/send',
  'message/stream',
  'tasks/cancel',
  'tasks/pushNotificationConfig/set',
  'tasks/pushNotificationConfig/delete',
];
const INPUT: JsonObject = {
  type: 'object',
  additionalProperties: false,
  required: ['method'],
  anyOf: [{ required: ['agentCard'] }, { required: ['server'] }],
  properties: {
    method: { enum: [...ACTING, ...READING] },
    agentCard: {
      type: 'object',
      additionalProperties: false,
      required: ['endpoint'],
      properties: { name: { type: 'string' }, endpoint: ENDPOINT },
    },
    server: ENDPOINT,
    parameters: { type: 'object' },
  },
};

/** Whether a method of A2A changes nothing at the agent. */
export function isA2aReading(method: unknown): boolean {
  return READING.includes(String(method));
}

/**
 * `call: a2a` of the specification (dsl-reference.md, "A2A Call"), reading and acting apart. The credentials of the card count for the agent too, where it has the
 * same origin. Output: the JSON-RPC result; a list of all results for `message/stream` and `tasks/resubscribe`.
 */
export function a2aPrimitives(
  a2a: A2aPort,
  secrets: SecretsPort,
  audit: AuditPort,
): [CallPrimitive, CallPrimitive] {
  const call = (input: JsonObject, { idempotencyKey, signal, stepKey }: StepContext) => {
    const { method, parameters } = input;
    const request = {
      method: String(method),
      parameters: parameters as JsonObject | undefined,
      ...agentOf(input),
    };
    return rpc(stepKey, () => a2a.call({ ...request, idempotencyKey, signal }));
  };
  return readingAndActing<Json>(secrets, audit, {
    name: 'a2a',
    inputSchema: INPUT,
    call,
    outputOf: (answer) => answer,
    actionOf: (input) => {
      const { origin, pathname } = new URL(agentOf(input).uri);
      return { action: `a2a.${String(input.method)}`, payload: { agent: origin + pathname } };
    },
    targetOf,
  });
}

function targetOf(input: JsonObject): CallTarget {
  const { uri, isCard } = agentOf(input);
  const policyAt = isCard ? '/agentCard/endpoint/authentication' : '/server/authentication';
  return { to: destinationOf(uri), policyAt };
}

function agentOf({ agentCard, server }: JsonObject) {
  if (agentCard === undefined) return { ...endpointOf(server), isCard: false };
  return { ...endpointOf((agentCard as JsonObject).endpoint), isCard: true };
}
