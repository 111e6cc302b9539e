import { readFileSync } from 'node:fs';
import { SecretHosts, sentTo } from './secret-hosts.ts';
import type { Variables } from './template.ts';

const SECRET_PREFIX = 'AIOS_SECRET_';
const VARIABLE_PREFIX = 'AIOS_VAR_';
const HOSTS_PREFIX = 'AIOS_HOSTS_OF_';
/** After the name, in the file: no name of a secret has a dot. */
const HOSTS_SUFFIX = '.hosts';
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
 * else is in the environment (credentials of the machine among it) is no variable: whoever writes definitions could send it anywhere. A secret with
 * AIOS_HOSTS_OF_NAME, or NAME.hosts in the file beside it, goes to those hosts alone.
 *
 * @example connectorVariables({ env: { AIOS_SECRET_TOKEN: 't' } })('secrets', 'TOKEN') // 't'
 */
export function connectorVariables({ env, file }: SecretSources): Variables {
  return (source, name, use = sentTo(undefined)) => {
    if (source === 'env') return env[VARIABLE_PREFIX + name];
    const set = env[SECRET_PREFIX + name];
    const lines = set === undefined && file !== undefined ? linesOf(file) : undefined;
    const value = set ?? lines?.get(name);
    const hosts = env[HOSTS_PREFIX + name] ?? lines?.get(name + HOSTS_SUFFIX);
    if (value !== undefined && hosts !== undefined) use(name, hostsOf(hosts));
    return value;
  };
}

/** The names of secrets without hosts: whoever may write definitions can send these anywhere. */
export function secretsWithoutHosts({ env, file }: SecretSources): string[] {
  const lines = file === undefined ? new Map<string, string>() : linesOf(file);
  const inEnvironment = Object.keys(env)
    .filter((name) => name.startsWith(SECRET_PREFIX) && env[name] !== undefined)
    .map((name) => name.slice(SECRET_PREFIX.length))
    .filter((name) => env[HOSTS_PREFIX + name] === undefined);
  const inFile = [...lines.keys()].filter(
    (name) =>
      !name.endsWith(HOSTS_SUFFIX) &&
      !lines.has(name + HOSTS_SUFFIX) &&
      env[SECRET_PREFIX + name] === undefined &&
      env[HOSTS_PREFIX + name] === undefined,
  );
  return [...new Set([...inEnvironment, ...inFile])].sort();
}

/** The last lists that were read: a list is one of few, and looked at by each call. */
const parsed = new Map<string, SecretHosts>();
const PARSED_MAX = 1_000;

function hostsOf(text: string): SecretHosts {
  let hosts = parsed.get(text);
  if (!hosts) {
    hosts = SecretHosts.of(text);
    if (parsed.size >= PARSED_MAX) parsed.clear();
    parsed.set(text, hosts);
  }
  return hosts;
}

/** The first line counts for each name. */
function linesOf(file: string): Map<string, string> {
  const lines = new Map<string, string>();
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return lines; // the error of the unset variable names it
  }
  for (const line of text.split('\n')) {
    const equals = line.indexOf('=');
    const name = line.slice(0, equals).trim();
    if (equals > 0 && !name.startsWith('#') && !lines.has(name))
      lines.set(name, line.slice(equals + 1).trim());
  }
  return lines;
}

/** A text without the secrets that a request carried: an outside system may echo what it was sent. */
export function redact(text: string, secrets: Iterable<string>): string {
  let clean = text;
  for (const secret of secrets)
    if (secret.length >= REDACTED_LENGTH_MIN) clean = clean.replaceAll(secret, '***');
  return clean;
}
