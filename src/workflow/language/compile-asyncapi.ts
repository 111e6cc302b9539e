import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import { compileSchema } from '../../kernel/schema.ts';
import type { SubscriptionConditions } from '../catalog/asyncapi.ts';
import { bound, withFixed } from '../catalog/outgoing.ts';
import type { AsyncApiChoice } from './asyncapi.ts';
import type { Compiler } from './compile.ts';
import { compileForEach, type Nested } from './compile-listen.ts';
import { takeSecrets } from './compile-secrets.ts';
import type { Kind } from './compile-steps.ts';
import type { StepNode } from './flow.ts';
import { keyOf, uriOf } from './kept-resources.ts';
import { iteratorSchema } from './language-schema.ts';
import { checkStaticInput } from './static-input.ts';
import type { Scope } from './templates.ts';

/** What the arguments of a call say about the operation that is meant. */
export function asyncApiChoice(input: JsonObject): AsyncApiChoice {
  const { channel, operation, server, protocol, subscription } = input;
  return {
    channel: channel as string | undefined,
    operation: operation as string | undefined,
    server: isObject(server) ? server : undefined,
    protocol: protocol as string | undefined,
    isSubscription: subscription !== undefined,
  };
}

/** Under which the operation is kept. */
export function asyncApiKey(endpoint: Json, input: JsonObject): string {
  const { channel = '', operation = '', server = {}, protocol = '' } = asyncApiChoice(input);
  const by = isObject(server) && Object.keys(server).length > 0 ? ` ${JSON.stringify(server)}` : '';
  const how = input.subscription === undefined ? 'publish' : 'subscribe';
  return keyOf(endpoint, `${operation}${channel} ${how}${protocol && ` ${protocol}`}${by}`);
}

/** `call: asyncapi`: publishing, or a subscription whose expressions are evaluated at each message. */
export function compileAsyncApi(
  compiler: Compiler,
  given: JsonObject,
  path: string,
  nested: Nested,
): Kind | undefined {
  const at = `${path}/with`;
  const { document, message, subscription } = given;
  const { endpoint } = isObject(document) ? document : {};
  if (endpoint === undefined || (message === undefined) === (subscription === undefined)) {
    compiler.fault(
      at,
      'a call of asyncapi names a document, and has a message or a subscription',
      'document, message',
    );
    return undefined;
  }
  const found = compiler.resource(asyncApiKey(endpoint, given), `${at}/document/endpoint`);
  const primitive = compiler.catalog.get(`asyncapi${subscription === undefined ? '' : '-subscribe'}:1`);
  if (!found || !('operation' in found)) return undefined;
  if (!primitive || primitive.kind === 'wait') {
    compiler.unsupported(`${path}/call`, 'asyncapi is not run here', 'a primitive of the catalog');
    return undefined;
  }
  const { subscription: described, ...rest } = given;
  const conditions = compileSubscription(compiler, described, `${at}/subscription`);
  const foreach = compileIterator(compiler, described, path, nested);
  const consume = isObject(described) && isObject(described.consume) ? described.consume : {};
  const { while: _, until: __, ...kept } = consume;
  const plain = {
    ...rest,
    document: { endpoint: uriOf(endpoint) },
    ...(described ? { subscription: { consume: kept } } : {}),
  };
  const { input, secretsAt, pinned } = takeSecrets(compiler, 'asyncapi', plain, at);
  checkStaticInput(compiler, primitive.inputSchema, input, at);
  const template = compiler.template(input, at);
  return {
    type: 'call',
    primitive: bound(primitive, { operation: found.operation, secretsAt }),
    // Of a subscription the conditions belong to the arguments: they have the scope of the step.
    pinned: conditions ? [...(pinned ?? []), 'subscription'] : pinned,
    with(scope) {
      const own = template(scope) as JsonObject;
      return conditions ? withFixed(own, { conditions: conditions(scope) }) : own;
    },
    validate: compiler.isStatic(input) ? undefined : compileSchema(primitive.inputSchema),
    foreach,
  };
}

const iteratorValidator = compileSchema(iteratorSchema());

function compileIterator(
  compiler: Compiler,
  value: Json | undefined,
  path: string,
  nested: Nested,
): (StepNode & { type: 'call' })['foreach'] {
  if (!isObject(value) || value.foreach === undefined) return undefined;
  const at = '/with/subscription/foreach';
  const issues = iteratorValidator(value.foreach);
  for (const issue of issues) compiler.fault(path + at + issue.path, issue.message, issue.expected);
  const foreach = issues.length === 0 && compileForEach(compiler, value.foreach, path, at, nested);
  if (!foreach) return undefined;
  const { while: goesOn, until } = isObject(value.consume) ? value.consume : {};
  return { ...foreach, isOver: compileEnd(compiler, goesOn, until, `${path}/with/subscription/consume`) };
}

/** Whether a subscription is over: `until` holds, or `while` does not. */
function compileEnd(
  compiler: Compiler,
  goesOn: Json | undefined,
  until: Json | undefined,
  path: string,
): (scope: Scope) => boolean {
  const mayGoOn = compiler.condition(goesOn, `${path}/while`);
  const ends = compiler.condition(until, `${path}/until`);
  return (scope) => (ends?.(scope) ?? false) || !(mayGoOn?.(scope) ?? true);
}

function compileSubscription(
  compiler: Compiler,
  value: Json | undefined,
  path: string,
): ((scope: Scope) => SubscriptionConditions) | undefined {
  if (!isObject(value)) return undefined;
  const consume = isObject(value.consume) ? value.consume : {};
  if (consume.amount === undefined && consume.while === undefined && consume.until === undefined)
    compiler.fault(`${path}/consume`, 'a subscription says when it is over', 'amount, while or until');
  const accepts = compiler.condition(value.filter, `${path}/filter`);
  const isOver = compileEnd(compiler, consume.while, consume.until, `${path}/consume`);
  return (scope) => ({
    accepts: (message) => accepts?.({ ...scope, input: message }) ?? true,
    isOver: (messages) => isOver({ ...scope, output: messages as Json }),
  });
}
