import type { Destination } from '../kernel/destination.ts';
import { AiosError } from '../kernel/errors.ts';
import { isObject, type Json, type JsonObject } from '../kernel/json.ts';
import { pointerNames } from '../kernel/schema.ts';
import { checkedForTokens, TOKEN_SCHEMES } from './authentication.ts';
import { SecretAudience, type SecretUse } from './secret-hosts.ts';
import type { Variables } from './template.ts';

/** `{secrets.NAME}` or `{secrets.NAME.member}`, as the compiler of flows writes it at the places where a secret may stand. */
const REFERENCE = /\{secrets\.([A-Za-z][\w-]*)((?:\.\w+)*)\}/g;

/** Where a call takes what is filled in. */
interface CallTarget {
  readonly to: Destination | undefined;
  /** JSON Pointer of its policy of authentication: credentials of OAuth 2 and OpenID Connect go to the authority that it names, and only their token goes on. */
  readonly policyAt?: string | undefined;
}

const CREDENTIAL = /^(password|token|secret|assertion)$/;

/**
 * The secrets of flows (`use.secrets`): filled in at the places that the compiler names, in the moment of the call, and nowhere kept.
 *
 * @example new CallSecrets(variables).fill({ headers: { 'x-key': '{secrets.KEY}' } }, ['/headers/x-key']).input // { headers: { 'x-key': 'k' } }
 */
export class CallSecrets {
  readonly #variables: Variables;

  constructor(variables: Variables) {
    this.#variables = variables;
  }

  /**
   * @param places JSON Pointers of the texts that hold references; what stands elsewhere is data, whatever it looks like
   * @returns a copy with the values, and the values, for whoever has to keep them out of what is told
   * @throws AiosError `connectors.variable_unset` naming the secret, `connectors.secret_refused` for one that may not go there
   */
  fill(
    input: JsonObject,
    places: readonly string[],
    { to, policyAt }: CallTarget,
  ): { input: JsonObject; values: string[] } {
    const values: string[] = [];
    const direct = new SecretAudience();
    const byToken = new SecretAudience();
    let filled: Json = input;
    for (const place of places) {
      const isForToken = TOKEN_SCHEMES.some((scheme) => place.startsWith(`${policyAt}/${scheme}/`));
      const { use } = isForToken ? byToken : direct;
      filled = changed(filled, pointerNames(place), (text) =>
        typeof text !== 'string'
          ? text
          : text.replace(REFERENCE, (_, name: string, members: string) => {
              const value = this.#value(name, members.split('.').slice(1), use);
              values.push(value, ...partsOf(value));
              return value;
            }),
      );
    }
    direct.check(to);
    if (policyAt !== undefined && !byToken.isEmpty)
      filled = changed(filled, pointerNames(policyAt), (policy) =>
        isObject(policy) ? checkedForTokens(policy, byToken) : policy,
      );
    return { input: filled as JsonObject, values };
  }

  #value(name: string, members: readonly string[], use: SecretUse): string {
    // Names of the specification may have hyphens and small letters, those of environment variables not everywhere.
    const spelled = [name, name.toUpperCase().replaceAll('-', '_')];
    const whole = spelled
      .map((as) => this.#variables('secrets', as, use))
      .find((value) => value !== undefined);
    if (whole === undefined)
      throw new AiosError('connectors.variable_unset', {
        detail: `The secret “${name}” is not set: AIOS_SECRET_${spelled[1]}.`,
      });
    if (members.length === 0) return whole;
    let value: Json | undefined;
    try {
      value = JSON.parse(whole) as Json;
    } catch {
      value = undefined;
    }
    for (const member of members) value = isObject(value) ? value[member] : undefined;
    if (typeof value === 'string' || typeof value === 'number') return String(value);
    throw new AiosError('connectors.variable_unset', {
      detail: `The secret “${name}” has no member “${members.join('.')}”: it has to be a JSON object.`,
    });
  }
}

/** What is secret inside of a secret: the password of a login, the credentials of a policy. */
function partsOf(value: string): string[] {
  if (!value.trimStart().startsWith('{')) {
    const colon = value.indexOf(':');
    return colon > 0 ? [value.slice(colon + 1)] : [];
  }
  const parts: string[] = [];
  try {
    JSON.parse(value, (name, member) => {
      if (typeof member === 'string' && CREDENTIAL.test(name)) parts.push(member);
      return member as unknown;
    });
  } catch {
    return [];
  }
  return parts;
}

function changed(value: Json, [member, ...rest]: readonly string[], change: (at: Json) => Json): Json {
  if (member === undefined) return change(value);
  if (Array.isArray(value))
    return value.map((item, index) => (String(index) === member ? changed(item, rest, change) : item));
  if (!isObject(value) || !Object.hasOwn(value, member)) return value;
  return { ...value, [member]: changed(value[member]!, rest, change) };
}
