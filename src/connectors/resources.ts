import { destinationOf } from '../kernel/destination.ts';
import { AiosError } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { Limits } from '../kernel/limits.ts';
import type { CallSecrets } from './call-secrets.ts';
import type { HttpCalls } from './http-calls.ts';

/** Reads what definitions name from elsewhere, by addresses of http and https, through the guard of all calls. */
export class ResourceReader {
  readonly #http: HttpCalls;
  readonly #secrets: CallSecrets;
  readonly #limits: Limits;

  constructor(http: HttpCalls, secrets: CallSecrets, limits: Limits) {
    this.#http = http;
    this.#secrets = secrets;
    this.#limits = limits;
  }

  /**
   * @param secretsAt JSON Pointers into the endpoint
   * @throws AiosError those of a call over HTTP, `connectors.response_too_large`
   * @example await resources.read({ uri: 'https://example.org/openapi.json' }, [])
   */
  async read(
    endpoint: { uri: string; authentication?: JsonObject },
    secretsAt: readonly string[],
  ): Promise<string> {
    const { input } = this.#secrets.fill(endpoint, secretsAt, {
      to: destinationOf(endpoint.uri),
      policyAt: '/authentication',
    });
    const { text } = await this.#http.call({
      method: 'GET',
      url: endpoint.uri,
      headers: { accept: '*/*' },
      authentication: input.authentication as JsonObject | undefined,
      redirect: true,
      idempotencyKey: endpoint.uri,
    });
    const { resourceBytesMax } = this.#limits;
    if (Buffer.byteLength(text) <= resourceBytesMax) return text;
    throw new AiosError('connectors.response_too_large', {
      detail: `${endpoint.uri} has more than ${resourceBytesMax} bytes.`,
      extensions: { limitName: 'resourceBytesMax', limit: resourceBytesMax },
    });
  }
}
