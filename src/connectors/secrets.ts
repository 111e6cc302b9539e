import { readFileSync } from 'node:fs';
import type { Variables } from './template.ts';

const SECRET_PREFIX = 'AIOS_SECRET_';
const VARIABLE_PREFIX = 'AIOS_VAR_';
/** Shorter values would blank out half of a message. */
const REDACTED_LENGTH_MIN = 4;

/** Where secrets and variables come from: the environment, and a file of `NAME=value` lines for secrets. */
export interface SecretSources {
  env: Readonly<Record<string, string | undefined>>;
  /** Read at each look-up, so that a rotated secret counts at once. */
  file?: string | undefined;
}

/**
 * The variables of connectors: `${env.NAME}` is the environment's AIOS_VAR_NAME, `${secrets.NAME}` its AIOS_SECRET_NAME or the file's NAME. What
 * else is in the environment (credentials of the machine among it) is no variable: whoever writes definitions could send it anywhere.
 *
 * @example connectorVariables({ env: { AIOS_SECRET_TOKEN: 't' } })('secrets', 'TOKEN') // 't'
 */
export function connectorVariables({ env, file }: SecretSources): Variables {
  return (source, name) => {
    if (source === 'env') return env[VARIABLE_PREFIX + name];
    return env[SECRET_PREFIX + name] ?? (file === undefined ? undefined : fromFile(file, name));
  };
}

function fromFile(file: string, name: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return undefined; // the error of the unset variable names it
  }
  for (const line of text.split('\n')) {
    const equals = line.indexOf('=');
    if (equals > 0 && line.slice(0, equals).trim() === name) return line.slice(equals + 1).trim();
  }
  return undefined;
}

/** A text without the secrets that a request carried: an outside system may echo what it was sent. */
export function redact(text: string, secrets: Iterable<string>): string {
  let clean = text;
  for (const secret of secrets)
    if (secret.length >= REDACTED_LENGTH_MIN) clean = clean.replaceAll(secret, '***');
  return clean;
}
