import { AiosError } from '../../kernel/errors.ts';
import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import { unescapePointer } from '../../kernel/schema.ts';
import { resolveReference } from './references.ts';

/** Protocols that are spoken, by the names of AsyncAPI. */
const MQTT = new Set(['mqtt', 'mqtts', 'secure-mqtt', 'mqtt5']);
const HTTP = new Set(['http', 'https']);
const WEBSOCKET = new Set(['ws', 'wss']);
const SPOKEN = [...MQTT, ...WEBSOCKET, ...HTTP];

/** What a call of a flow says about the operation. */
export interface AsyncApiChoice {
  /** Of a document of 2.x. */
  readonly channel?: string | undefined;
  /** Of a document of 3.x. */
  readonly operation?: string | undefined;
  readonly server?: JsonObject | undefined;
  readonly protocol?: string | undefined;
  readonly isSubscription: boolean;
}

/**
 * The operation of an AsyncAPI document (2.x, 3.x) as calls of it need it: the server and its protocol, the address of the channel, how it is written to.
 *
 * @throws AiosError `definition.invalid` for an invalid document or one that lacks what is named; `workflow.unsupported` for a protocol that is not spoken
 * @example asyncApiOperation(document, { operation: 'greet', isSubscription: false }, uri) // { protocol: 'mqtt', host: 'broker.example.org', port: 1883, … }
 */
export function asyncApiOperation(document: Json, choice: AsyncApiChoice, uri: string): JsonObject {
  if (!isObject(document) || typeof document.asyncapi !== 'string')
    throw invalid(`${uri} is no AsyncAPI document.`);
  const isV2 = document.asyncapi.startsWith('2.');
  const found = isV2 ? channelOfV2(document, choice) : channelOf(document, choice);
  const { address, bindings } = found;
  if (address.includes('{'))
    throw invalid(`The address “${address}” has parameters, which a call cannot fill.`);
  const server = serverOf(document, found.servers, choice);
  const shared = { address, contentType: found.contentType };
  if (HTTP.has(server.protocol)) {
    if (choice.isSubscription)
      throw unsupported(
        'Subscriptions over HTTP are not run: use a server of MQTT or WebSocket, or call: http in a loop with wait.',
      );
    const { method = 'POST' } = isObject(bindings.http) ? bindings.http : {};
    return {
      ...shared,
      kind: 'http',
      method: String(method),
      url: server.url.replace(/\/+$/, '') + withSlash(address),
    };
  }
  if (WEBSOCKET.has(server.protocol)) {
    const url = server.url.replace(/^[a-z\d-]+:/, `${server.protocol}:`).replace(/\/+$/, '');
    return { ...shared, kind: 'ws', url: url + withSlash(address) };
  }
  const url = new URL(server.url.replace(/^[a-z\d-]+:\/\//, 'http://'));
  const isTls = server.protocol === 'mqtts' || server.protocol === 'secure-mqtt';
  const { qos = 1, retain = false } = isObject(bindings.mqtt) ? bindings.mqtt : {};
  return {
    ...shared,
    kind: 'mqtt',
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port) || (isTls ? 8883 : 1883),
    isTls,
    isV5: server.protocol === 'mqtt5' || server.version.startsWith('5'),
    qos: Number(qos),
    retain: retain === true,
  };
}

interface Channel {
  address: string;
  bindings: JsonObject;
  contentType: string;
  /** Names of servers; all when empty. */
  servers: string[];
}

function channelOf(document: JsonObject, { operation: name }: AsyncApiChoice): Channel {
  const operation = member(document, 'operations', name, 'operation');
  const channel = resolveReference(document, operation.channel);
  const reference = isObject(operation.channel) ? String(operation.channel.$ref ?? '') : '';
  const address = typeof channel.address === 'string' ? channel.address : lastOf(reference);
  const servers = Array.isArray(channel.servers) ? channel.servers : [];
  const [message] = Object.values(isObject(channel.messages) ? channel.messages : {});
  return {
    address,
    bindings: { ...bindingsOf(document, channel), ...bindingsOf(document, operation) },
    contentType: contentTypeOf(document, message),
    servers: servers.map((server) => lastOf(isObject(server) ? String(server.$ref ?? '') : '')),
  };
}

function channelOfV2(document: JsonObject, { channel: name, isSubscription }: AsyncApiChoice): Channel {
  const channel = member(document, 'channels', name, 'channel');
  const operation = resolveReference(document, channel[isSubscription ? 'subscribe' : 'publish']);
  return {
    address: String(name),
    bindings: { ...bindingsOf(document, channel), ...bindingsOf(document, operation) },
    contentType: contentTypeOf(document, operation.message),
    servers: Array.isArray(channel.servers) ? channel.servers.map(String) : [],
  };
}

function serverOf(document: JsonObject, of: readonly string[], { server, protocol }: AsyncApiChoice) {
  const all = Object.entries(isObject(document.servers) ? document.servers : {}).map(
    ([name, value]) => ({ name, value: resolveReference(document, value) }) as const,
  );
  const wanted = server?.name;
  const named = all.filter(({ name }) =>
    wanted === undefined ? of.length === 0 || of.includes(name) : name === wanted,
  );
  const found = named.find(
    ({ value }) => wanted !== undefined || protocol === undefined || value.protocol === protocol,
  );
  if (!found)
    throw invalid(
      `The document has no server ${wanted === undefined ? `of the protocol “${protocol ?? 'any'}”` : `“${String(wanted)}”`}; it has ${all.map(({ name, value }) => `${name} (${String(value.protocol)})`).join(', ') || 'none'}.`,
    );
  const spoken = String(found.value.protocol);
  if (!SPOKEN.includes(spoken))
    throw unsupported(`The protocol “${spoken}” is not spoken: ${SPOKEN.join(', ')} are.`);
  const given = isObject(server?.variables) ? server.variables : {};
  const { host, pathname = '', url } = found.value;
  const written = typeof url === 'string' ? url : `${spoken}://${String(host)}${withSlash(String(pathname))}`;
  const variables = isObject(found.value.variables) ? found.value.variables : {};
  const filled = written.replace(/\{([^}]+)\}/g, (_, name: string) => {
    const described = resolveReference(document, variables[name]);
    const value = given[name] ?? described.default;
    if (value === undefined) throw invalid(`The server “${found.name}” needs the variable “${name}”.`);
    return String(value);
  });
  const address = /^[a-z\d+-]+:\/\//i.test(filled) ? filled : `${spoken}://${filled}`;
  if (!URL.canParse(address)) throw invalid(`“${address}” is not an address of a server.`);
  return { url: address, protocol: spoken, version: String(found.value.protocolVersion ?? '') };
}

function member(document: JsonObject, kind: string, name: string | undefined, what: string): JsonObject {
  const all = isObject(document[kind]) ? document[kind] : {};
  if (name !== undefined && Object.hasOwn(all, name)) return resolveReference(document, all[name]);
  throw invalid(
    `The document has no ${what} “${name ?? ''}”; it has ${Object.keys(all).slice(0, 40).join(', ') || 'none'}.`,
  );
}

function bindingsOf(document: JsonObject, of: JsonObject): JsonObject {
  return resolveReference(document, of.bindings);
}

function contentTypeOf(document: JsonObject, message: Json | undefined): string {
  const { contentType } = resolveReference(document, message);
  return String(contentType ?? document.defaultContentType ?? 'application/json');
}

function lastOf(reference: string): string {
  return unescapePointer(decodeURIComponent(reference.slice(reference.lastIndexOf('/') + 1)));
}

function withSlash(path: string): string {
  return path === '' || path.startsWith('/') ? path : `/${path}`;
}

function invalid(detail: string): AiosError {
  return new AiosError('definition.invalid', { detail });
}

function unsupported(detail: string): AiosError {
  return new AiosError('workflow.unsupported', { detail });
}
