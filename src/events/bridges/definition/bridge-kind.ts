import { locateIssue, type SourceDocument, validateDocument } from '../../../kernel/document.ts';
import { AiosError, type Issue } from '../../../kernel/errors.ts';
import { compileExpression } from '../../../kernel/expressions.ts';
import type { Json, JsonObject } from '../../../kernel/json.ts';
import { compileSchema, DEFINITION_NAME, escapePointer } from '../../../kernel/schema.ts';
import type { DefinitionKind } from '../../../store/definition-kind.ts';
import { compileSelection } from '../../selection.ts';
import type { BridgeProtocol, MessageFormat } from '../port/protocol.ts';

/** A bridge as its author writes it in `bridges/<name>.yaml`. */
export interface BridgeDefinition {
  readonly name: string;
  /** The protocol's name and its settings; a bridge has one of the two. */
  readonly from?: Readonly<Record<string, JsonObject>>;
  readonly to?: Readonly<Record<string, JsonObject>>;
  /** CEL by attribute over `key`, `value`, `headers`, `topic`, `time` and `position` of a message that is no CloudEvent. */
  readonly events?: Readonly<Record<string, string>>;
  /** Which events go out. */
  readonly types?: readonly string[];
  readonly filter?: string;
  /** `cloudevents` is `structured`. */
  readonly format?: MessageFormat | 'cloudevents';
  /** Where it begins when it has no place yet: a source at the earliest message, a sink at the events that come from then on. */
  readonly start?: 'earliest' | 'latest';
  readonly paused?: boolean;
  /** What becomes of messages that cannot be taken over. */
  readonly errors?: ErrorTolerance;
  /** `host:port` or `host` that may be reached although its address is private. */
  readonly allowPrivate?: readonly string[];
}

/** Kafka Connect's words. */
interface ErrorTolerance {
  /** `all`, when left out: they are put aside as dead letters. `none`: the bridge stands at the first one. */
  readonly tolerance?: 'none' | 'all';
  /** Open dead letters of the bridge with which it stands; at most `bridgeDeadLettersMax`, which counts when left out. */
  readonly deadLettersMax?: number;
}

/** What the kind asks of others. */
interface Surroundings {
  readonly protocols: readonly BridgeProtocol[];
  /** Throws what is wrong with the variables of a text. */
  checkTemplate(text: string): void;
}

const SOURCE_ONLY = ['events'] as const;
const SINK_ONLY = ['types', 'filter', 'format'] as const;

/** The kind `bridge` of a project folder. */
export function bridgeKind(surroundings: Surroundings): DefinitionKind {
  const validate = compileSchema(schemaOf(surroundings.protocols));
  return {
    kind: 'bridge',
    folder: 'bridges',
    parse(document) {
      validateDocument(document, validate);
      const issues = issuesOf(document.value as unknown as BridgeDefinition, surroundings);
      if (issues.length > 0) throw located(document, issues);
      return { name: document.value.name as string, body: document.value };
    },
  };
}

function located(document: SourceDocument, issues: readonly Issue[]): AiosError {
  return new AiosError('definition.invalid', { issues: issues.map((issue) => locateIssue(document, issue)) });
}

/**
 * The protocol of a bridge and its settings.
 *
 * @example protocolOf({ name: 'orders', from: { kafka: {…} } }, protocols) // { direction: 'from', protocol, settings }
 */
export function protocolOf({ from, to }: BridgeDefinition, protocols: readonly BridgeProtocol[]) {
  const [name, settings] = Object.entries(from ?? to ?? {})[0]!;
  const protocol = protocols.find((one) => one.name === name)!;
  return { direction: from ? ('from' as const) : ('to' as const), protocol, settings };
}

function schemaOf(protocols: readonly BridgeProtocol[]): JsonObject {
  const oneOf = (direction: 'source' | 'sink') => ({
    type: 'object',
    additionalProperties: false,
    minProperties: 1,
    maxProperties: 1,
    properties: Object.fromEntries(
      protocols.flatMap(({ name, [direction]: side }) => (side ? [[name, side.settings]] : [])),
    ),
  });
  return {
    type: 'object',
    additionalProperties: false,
    required: ['name'],
    properties: {
      name: DEFINITION_NAME,
      title: { type: 'string' },
      description: { type: 'string' },
      from: oneOf('source'),
      to: oneOf('sink'),
      events: {
        type: 'object',
        required: ['type'],
        propertyNames: { pattern: '^[a-z0-9]+$', not: { enum: ['specversion', 'data_base64'] } },
        additionalProperties: { type: 'string' },
      },
      types: { type: 'array', minItems: 1, items: { type: 'string', minLength: 1 } },
      filter: { type: 'string' },
      format: { enum: ['cloudevents', 'structured', 'binary', 'raw'] },
      start: { enum: ['earliest', 'latest'] },
      paused: { type: 'boolean' },
      errors: {
        type: 'object',
        additionalProperties: false,
        properties: { tolerance: { enum: ['none', 'all'] }, deadLettersMax: { type: 'integer', minimum: 1 } },
      },
      allowPrivate: { type: 'array', items: { type: 'string', minLength: 1 } },
    },
  } as unknown as JsonObject;
}

function issuesOf(definition: BridgeDefinition, { protocols, checkTemplate }: Surroundings): Issue[] {
  const { from, to, events = {}, types, filter, format, errors } = definition;
  if ((from === undefined) === (to === undefined))
    return [{ path: from ? '/to' : '', message: 'a bridge has either `from` or `to`' }];
  const misplaced = from ? SINK_ONLY : SOURCE_ONLY;
  const issues: Issue[] = misplaced
    .filter((name) => definition[name] !== undefined)
    .map((name) => ({ path: `/${name}`, message: `belongs to a bridge with \`${from ? 'to' : 'from'}\`` }));
  if (errors?.tolerance === 'none' && errors.deadLettersMax !== undefined)
    issues.push({ path: '/errors/deadLettersMax', message: 'belongs to `tolerance: all`' });
  for (const [name, source] of Object.entries(events))
    issues.push(...issueOf(`/events/${escapePointer(name)}`, () => compileExpression(source)));
  if (filter !== undefined) issues.push(...issueOf('/filter', () => compileSelection({ types, filter })));
  const { direction, protocol, settings } = protocolOf(definition, protocols);
  const base = `/${direction}/${protocol.name}`;
  const side = direction === 'from' ? protocol.source : protocol.sink;
  issues.push(
    ...textsOf(settings).flatMap(({ path, text }) => issueOf(base + path, () => checkTemplate(text))),
    ...(side?.check?.(settings, formatOf(format)) ?? []).map(({ path, message }) => ({
      path: base + path,
      message,
    })),
  );
  if (to && protocol.formats && !protocol.formats.includes(formatOf(format)))
    issues.push({
      path: '/format',
      message: `${protocol.name} can be written as ${protocol.formats.join(', ')}`,
    });
  return issues;
}

/** `cloudevents` says the usual one of the two modes. */
export function formatOf(format: string | undefined): MessageFormat {
  return format === 'binary' || format === 'raw' ? format : 'structured';
}

function issueOf(path: string, work: () => unknown): Issue[] {
  try {
    work();
    return [];
  } catch (error) {
    return [{ path, message: (error as Error).message }];
  }
}

/** All texts of a value, with their places. */
function textsOf(value: Json, path = ''): { path: string; text: string }[] {
  if (typeof value === 'string') return [{ path, text: value }];
  if (value === null || typeof value !== 'object') return [];
  return Object.entries(value).flatMap(([name, member]) =>
    textsOf(member as Json, `${path}/${escapePointer(name)}`),
  );
}

/** A value whose texts have been filled in; keys stay as they are. */
export function filled(value: Json, fill: (text: string) => string): Json {
  if (typeof value === 'string') return fill(value);
  if (Array.isArray(value)) return value.map((item) => filled(item, fill));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, filled(member!, fill)]));
}
