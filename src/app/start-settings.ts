import { resolve } from 'node:path';
import { closestName } from '../kernel/closest-name.ts';
import { AiosError } from '../kernel/errors.ts';
import { type Limits, limitsFrom } from '../kernel/limits.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** What a process is told by its environment, as far as it can be judged before anything is started. */
export interface StartSettings {
  readonly dataDir: string;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** The variable that names the port. */
  readonly portVariable: 'AIOS_PORT' | 'AIOS_WORKER_PORT';
  readonly databaseUrl: string | undefined;
  readonly publicUrl: string | undefined;
  /** Origins of pages that may call the HTTP doors, `*` for all. */
  readonly corsOrigins: readonly string[];
  readonly limits: Limits;
  /** Variables that begin with `AIOS_` and mean nothing: most likely slips. */
  readonly unknown: readonly string[];
}

/** Every variable that a server reads; a test holds the list to the code and to the table of docs/operations.md. */
export const START_VARIABLES = [
  'AIOS_ADMIN_KEY',
  'AIOS_BRIDGE_FOLDERS',
  'AIOS_CA_FILE',
  'AIOS_CONTAINER_FOLDERS',
  'AIOS_CORS_ORIGINS',
  'AIOS_DATABASE_URL',
  'AIOS_DATA_DIR',
  'AIOS_EVENTS_UNREAD',
  'AIOS_FEATURE_FOLDERS',
  'AIOS_FEATURE_SCHEMAS',
  'AIOS_GRPC_HOST',
  'AIOS_GRPC_PORT',
  'AIOS_GRPC_TLS_CERT_FILE',
  'AIOS_GRPC_TLS_CLIENT_CA_FILE',
  'AIOS_GRPC_TLS_KEY_FILE',
  'AIOS_HOST',
  'AIOS_HOSTS',
  'AIOS_HTTP_ALLOW_PRIVATE',
  'AIOS_LIMITS',
  'AIOS_LINEAGE_DATABASES',
  'AIOS_LINEAGE_NAMESPACE',
  'AIOS_LOG',
  'AIOS_MCP_COMMANDS',
  'AIOS_PORT',
  'AIOS_PUBLIC_URL',
  'AIOS_REDIS_URL',
  'AIOS_ROLE',
  'AIOS_RUN_CONTAINER',
  'AIOS_RUN_SHELL',
  'AIOS_SIMULATION_PER_SECOND',
  'AIOS_TRACE_RATIO',
  'AIOS_TRAINERS',
  'AIOS_WORKER_PORT',
] as const;

/** What others read: the command line, the tests, and what AIOS hands to the programs that it starts. */
const OTHERS = new Set(['AIOS_API_KEY', 'AIOS_URL', 'AIOS_CHROMIUM', 'AIOS_BENCH_STATEMENTS']);
/** Names that users make up. */
const MADE_UP = /^AIOS_(VAR|SECRET|HOSTS_OF|PARAM|DATASET|TEST)_/;
const LEVELS = ['debug', 'info', 'warn', 'error'];

/**
 * The settings of a process, held to what each variable takes before a database is started for nothing. A variable that is empty says nothing.
 *
 * @throws AiosError `start.setting`, naming the variable
 * @example startSettings({ AIOS_PORT: '7800' }, 'all').port // 7800
 */
export function startSettings(env: Environment, role: 'all' | 'worker' | 'api'): StartSettings {
  const portVariable = role === 'worker' ? 'AIOS_WORKER_PORT' : 'AIOS_PORT';
  const level = env.AIOS_LOG;
  if (level && !LEVELS.includes(level)) throw wrong('AIOS_LOG', level, `one of ${LEVELS.join(', ')}`);
  return {
    dataDir: resolve(env.AIOS_DATA_DIR || '.aios'),
    host: env.AIOS_HOST || '127.0.0.1',
    // A worker stands beside the process with the API on one machine: a free port unless one is named.
    port: portOf(portVariable, env[portVariable], role === 'worker' ? 0 : 7700),
    portVariable,
    databaseUrl: databaseUrl(env.AIOS_DATABASE_URL),
    publicUrl: publicUrl(env.AIOS_PUBLIC_URL),
    corsOrigins: corsOrigins(env.AIOS_CORS_ORIGINS),
    limits: limitsFrom(env.AIOS_LIMITS),
    unknown: unknownVariables(env),
  };
}

function wrong(name: string, found: string, expected: string): AiosError {
  return new AiosError('start.setting', { detail: `${name} takes ${expected}; “${found}” is not that.` });
}

function portOf(name: string, text: string | undefined, fallback: number): number {
  if (!text) return fallback;
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port < 65_536) return port;
  throw wrong(name, text, 'a port, 0 to 65535');
}

function databaseUrl(text: string | undefined): string | undefined {
  if (!text) return undefined;
  // The text itself is not told: there is a password in it.
  if (!/^postgres(ql)?:\/\//.test(text) || !URL.canParse(text))
    throw new AiosError('start.setting', {
      detail: 'AIOS_DATABASE_URL takes an address such as postgres://user:password@host:5432/database.',
    });
  return text;
}

function publicUrl(text: string | undefined): string | undefined {
  if (!text) return undefined;
  if (/^https?:\/\//.test(text) && URL.canParse(text)) return text;
  throw wrong('AIOS_PUBLIC_URL', text, 'an address such as https://aios.example.org');
}

/** Browsers name an origin in one way, which is what it is compared with: one with a path would allow nobody. */
function corsOrigins(text: string | undefined): string[] {
  const origins = (text ?? '').split(',').map((one) => one.trim());
  const isOrigin = (one: string) =>
    one === '*' || (/^https?:/.test(one) && URL.canParse(one) && new URL(one).origin === one);
  return origins.filter(Boolean).map((one) => {
    if (isOrigin(one)) return one;
    throw wrong('AIOS_CORS_ORIGINS', one, 'origins such as https://app.example.org, comma-separated, or *');
  });
}

function unknownVariables(env: Environment): string[] {
  const known: ReadonlySet<string> = new Set(START_VARIABLES);
  return Object.keys(env)
    .filter(
      (name) => name.startsWith('AIOS_') && !known.has(name) && !OTHERS.has(name) && !MADE_UP.test(name),
    )
    .map((name) => {
      const meant = closestName(name, START_VARIABLES);
      return `${name} is not known and changes nothing${meant ? `; did you mean ${meant}?` : ''}`;
    });
}
