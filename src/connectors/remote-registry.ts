import { bundledAvro } from '../kernel/avro/avro-names.ts';
import { AiosError, toAiosError } from '../kernel/errors.ts';
import { isObject, type Json, type JsonObject } from '../kernel/json.ts';
import { requireDepth } from '../kernel/json-depth.ts';
import { GuardedFetch } from './guarded-fetch.ts';
import type { Outgoing } from './outgoing.ts';

interface Address {
  readonly url: string;
  readonly username?: string;
  readonly password?: string;
  readonly token?: string;
  /** Whether its secrets may be sent to the host. @throws AiosError `connectors.secret_refused` */
  check?(host: string, port: number): void;
}

interface Found {
  readonly id: number;
  /** `AVRO`, `JSON`, `PROTOBUF` */
  readonly type: string;
  readonly schema: Json;
}

const ACCEPT = 'application/vnd.schemaregistry.v1+json, application/json';
const SENT = 'application/vnd.schemaregistry.v1+json';
/** Its own codes say which of its own 404s it is; another server at the address has none. */
const NOT_FOUND = [40401, 40402, 40403];
/** Not compatible with what is there; no schema, or a subject that may not be changed. */
const REFUSED = [409, 422];

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/**
 * A schema registry with Confluent's API, asked over HTTP through the guard of what leaves.
 *
 * @example await new RemoteRegistry({ url: 'https://registry.example.org' }, outgoing).byId(7) // { id: 7, type: 'AVRO', schema: 'string' }
 */
export class RemoteRegistry {
  readonly #address: Address;
  readonly #outgoing: Outgoing;

  constructor(address: Address, outgoing: Outgoing) {
    this.#address = address;
    this.#outgoing = outgoing;
  }

  /**
   * Nothing where no schema has the id.
   *
   * @throws AiosError `bridges.registry_unreachable`, `bridges.registry_refused`, `connectors.egress_refused`; for what is no schema `definition.invalid`, `request.too_deep`, `connectors.response_too_large`
   */
  async byId(id: number): Promise<Found | undefined> {
    const found = await this.#get(`/schemas/ids/${id}`);
    return found && this.#whole({ id, ...found });
  }

  /** The newest version of a subject; nothing where there is none. @throws AiosError as `byId` */
  async latest(subject: string): Promise<Found | undefined> {
    const found = await this.#get(`/subjects/${encodeURIComponent(subject)}/versions/latest`);
    return found && this.#whole(found);
  }

  /**
   * The id of a schema under a subject, where it is a version from then on if it was none.
   *
   * @throws AiosError `bridges.schema_refused` where it may not be one, and as `byId`
   */
  async register(subject: string, { type, schema }: Pick<Found, 'type' | 'schema'>): Promise<number> {
    const path = `/subjects/${encodeURIComponent(subject)}/versions`;
    // Registries of old know no other type than Avro, and no member that says so.
    const sent = { ...(type === 'AVRO' ? {} : { schemaType: type }), schema: JSON.stringify(schema) };
    const answer = await this.#answer(path, sent);
    const { status, body } = answer;
    if (status === 200 && isObject(body) && Number.isInteger(body.id)) return Number(body.id);
    if (REFUSED.includes(status))
      throw new AiosError('bridges.schema_refused', { detail: `${subject}: ${said(body) || status}` });
    throw this.#unexpected(path, answer);
  }

  async #whole(found: JsonObject): Promise<Found> {
    const { id, schemaType = 'AVRO', schema: text } = found;
    const type = String(schemaType);
    // What JSON Schema says of a value is not asked: its contract is.
    if (type !== 'AVRO') return { id: Number(id), type, schema: null };
    const schema = this.#parsed(text);
    const referred = await this.#referred(found.references, new Map());
    return { id: Number(id), type, schema: bundledAvro(schema, [...referred.values()]) };
  }

  /** All schemas that one refers to, and those refer to, by subject and version. */
  async #referred(references: Json | undefined, known: Map<string, Json>): Promise<Map<string, Json>> {
    for (const reference of Array.isArray(references) ? references : []) {
      if (!isObject(reference)) continue;
      const { subject, version } = reference;
      const path = `/subjects/${encodeURIComponent(String(subject))}/versions/${encodeURIComponent(String(version))}`;
      if (known.has(path)) continue;
      if (known.size >= this.#outgoing.limits.schemaReferencesMax)
        throw this.#invalid(`a schema refers to more than ${known.size} others (schemaReferencesMax)`);
      // Deleted ones are still referred to.
      const found = await this.#get(`${path}?deleted=true`);
      if (!found) throw this.#invalid(`a schema refers to ${path}, which is not there`);
      known.set(path, this.#parsed(found.schema));
      await this.#referred(found.references, known);
    }
    return known;
  }

  #parsed(text: Json | undefined): Json {
    let schema: Json;
    try {
      schema = JSON.parse(String(text)) as Json;
    } catch {
      throw this.#invalid('a schema of Avro is not JSON');
    }
    requireDepth(schema, this.#outgoing.limits.jsonDepthMax);
    return schema;
  }

  async #get(path: string): Promise<JsonObject | undefined> {
    const answer = await this.#answer(path);
    const { status, body } = answer;
    if (status === 200 && isObject(body)) return body;
    if (status === 404 && isObject(body) && NOT_FOUND.includes(Number(body.error_code))) return undefined;
    throw this.#unexpected(path, answer);
  }

  #unexpected(path: string, { status, body }: Answer): AiosError {
    const message = said(body);
    const detail = `${this.#address.url}: ${status} for ${path}${message && `: ${message}`}`;
    return new AiosError(
      status === 401 || status === 403 ? 'bridges.registry_refused' : 'bridges.registry_unreachable',
      { detail },
    );
  }

  async #answer(path: string, sent?: JsonObject): Promise<Answer> {
    const { url, check } = this.#address;
    try {
      const target = new URL(url.replace(/\/+$/, '') + path);
      const port = Number(target.port) || (target.protocol === 'https:' ? 443 : 80);
      check?.(target.hostname.replace(/^\[|\]$/g, ''), port);
      const guarded = new GuardedFetch(this.#outgoing, {
        authentication: undefined,
        signal: AbortSignal.timeout(this.#outgoing.limits.httpCallMs),
        headers: { accept: ACCEPT, ...(sent ? { 'content-type': SENT } : {}), ...this.#credentials() },
      });
      const init = sent ? { method: 'POST', body: JSON.stringify(sent) } : {};
      const response = await guarded.fetch(target, init).catch((error: unknown) => {
        throw guarded.failure ?? error;
      });
      const text = await response.text();
      return { status: response.status, body: textJson(text) };
    } catch (error) {
      const problem = toAiosError(error);
      if (problem.code.startsWith('connectors.') && problem.code !== 'connectors.unreachable') throw problem;
      throw this.#failed((error as Error).message, error);
    }
  }

  #credentials(): Record<string, string> {
    const { username, password = '', token } = this.#address;
    if (token !== undefined) return { authorization: `Bearer ${token}` };
    if (username === undefined) return {};
    return { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` };
  }

  /** A registry that answers, with what is no schema: asking again changes nothing. */
  #invalid(what: string): AiosError {
    return new AiosError('definition.invalid', { detail: `${this.#address.url}: ${what}` });
  }

  #failed(what: string, cause?: unknown): AiosError {
    return new AiosError('bridges.registry_unreachable', { detail: `${this.#address.url}: ${what}`, cause });
  }
}

function said(body: unknown): string {
  return isObject(body) && typeof body.message === 'string' ? body.message.slice(0, 200) : '';
}

function textJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
