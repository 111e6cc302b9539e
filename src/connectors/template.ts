import { AiosError } from '../kernel/errors.ts';
import type { SecretUse } from './secret-hosts.ts';

/**
 * Where a template's variables come from, by `env.NAME` and `secrets.NAME`; undefined for one that is not set.
 *
 * @param use what asks for the value of a secret, told of the hosts that the secret may be sent to; without it such a secret is refused
 * @throws AiosError `connectors.secret_refused`
 */
export type Variables = (source: 'env' | 'secrets', name: string, use?: SecretUse) => string | undefined;

/** Variables whose secrets are for one use. */
export function usedFor(use: SecretUse, variables: Variables): Variables {
  return (source, name) => variables(source, name, use);
}

/** A text with variables, such as `Bearer ${secrets.TOKEN}`. */
export interface Template {
  readonly isConstant: boolean;
  /** @throws AiosError `connectors.variable_unset` naming the variable */
  resolve(variables: Variables): string;
}

const VARIABLE = /\$\{([^}]*)\}/g;
const REFERENCE = /^(env|secrets)\.([A-Z][A-Z0-9_]*)$/;

/**
 * @throws Error for a variable that is none of the allowed sources
 * @example compileTemplate('Bearer ${secrets.TOKEN}', ['secrets']).resolve(() => 't') // 'Bearer t'
 */
export function compileTemplate(text: string, sources: readonly ('env' | 'secrets')[]): Template {
  const references = [...text.matchAll(VARIABLE)].map(([whole, inner = '']) => {
    const reference = REFERENCE.exec(inner);
    if (!reference || !sources.includes(reference[1] as 'env' | 'secrets'))
      throw new Error(
        `${whole} is not allowed here: use ${sources.map((source) => `\${${source}.NAME}`).join(' or ')}, the name in capital letters`,
      );
    return reference;
  });
  if (references.length === 0) return { isConstant: true, resolve: () => text };
  return {
    isConstant: false,
    resolve: (variables) =>
      text.replace(VARIABLE, (_, inner: string) => {
        const [, source, name] = REFERENCE.exec(inner) as unknown as [string, 'env' | 'secrets', string];
        const value = variables(source, name);
        if (value !== undefined) return value;
        const variable = source === 'env' ? `AIOS_VAR_${name}` : `AIOS_SECRET_${name}`;
        throw new AiosError('connectors.variable_unset', { detail: `\${${inner}}: ${variable} is not set.` });
      }),
  };
}
