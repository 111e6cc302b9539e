import { createHash } from 'node:crypto';
import { type DurationParts, parseDuration } from '../../kernel/duration.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import type { Limits } from '../../kernel/limits.ts';
import type { StepContext } from './primitive.ts';
import { bounds, environmentOf, PATH, type ProcessAnswer, runProcess, SCALAR, textsOf } from './process.ts';

const PULL: { readonly [policy: string]: string } = {
  always: 'always',
  never: 'never',
  ifNotPresent: 'missing',
};
/** On a container that is to be removed some time after its end: that time in milliseconds. */
const LABEL = 'aios.remove-after-ms';
/** A volume of the engine. */
const VOLUME = '[A-Za-z0-9][A-Za-z0-9_.-]*';

/** The members of `run: container` beside those of every process; of the machine's folders those that an operator named may be mounted, and what is in them. */
export function containerMembers(folders: readonly string[]): JsonObject {
  const within = folders.map((folder) => `${escaped(folder.replace(/\/+$/, ''))}(?:/[^:]*)?`);
  return {
    image: { type: 'string', pattern: '^[A-Za-z0-9]' },
    name: { type: 'string', pattern: '^[A-Za-z0-9][A-Za-z0-9_.-]*$' },
    ports: {
      type: 'object',
      propertyNames: { pattern: '^\\d{1,5}$' },
      additionalProperties: { type: ['integer', 'string'], pattern: '^\\d{1,5}(?:/(?:tcp|udp))?$' },
    },
    volumes: {
      type: 'object',
      propertyNames: { pattern: `^(?!.*(?:^|/)\\.\\.(?:/|$))(?:${[VOLUME, ...within].join('|')})$` },
      additionalProperties: { type: 'string', pattern: '^/[^:]*(?::ro)?$' },
    },
    lifetime: {
      type: 'object',
      additionalProperties: false,
      required: ['cleanup'],
      properties: {
        cleanup: { enum: ['always', 'never', 'eventually'] },
        after: { type: ['string', 'object'] },
      },
      if: { properties: { cleanup: { const: 'eventually' } } },
      // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
      then: { required: ['after'] },
    },
    pullPolicy: { enum: Object.keys(PULL) },
    stdin: { type: 'string' },
    arguments: { type: 'array', items: SCALAR },
  };
}

/** Containers by an engine's command line, `docker` or `podman`. */
export class Containers {
  readonly #engine: string;
  readonly #limits: Limits;

  constructor(engine: string, limits: Limits) {
    this.#engine = engine;
    this.#limits = limits;
  }

  /** Runs one to its end. It publishes its ports on the loopback of the machine alone, and gains no privileges. */
  async run(input: JsonObject, { workflow, idempotencyKey, signal }: StepContext): Promise<ProcessAnswer> {
    const { image, command, lifetime, pullPolicy = 'ifNotPresent' } = input;
    const environment = environmentOf(input.environment);
    const hash = createHash('sha256').update(idempotencyKey).digest('hex').slice(0, 12);
    const name = String(input.name ?? `${workflow}-${hash}`);
    const args = [
      ...['run', '--interactive', '--name', name, '--pull', PULL[String(pullPolicy)]!],
      ...lifetimeArgs(lifetime as JsonObject | undefined),
      ...['--security-opt', 'no-new-privileges'],
      ...pairs(input.ports).flatMap(([host, port]) => ['--publish', `127.0.0.1:${host}:${port}`]),
      ...pairs(input.volumes).flatMap(([from, to]) => ['--volume', `${from}:${to}`]),
      // By name only: arguments of processes can be read by everybody on the machine.
      ...Object.keys(environment).flatMap((variable) => ['--env', variable]),
      ...(command === undefined
        ? [String(image), ...textsOf(input.arguments)]
        : ['--entrypoint', 'sh', String(image), '-c', String(command), 'sh', ...textsOf(input.arguments)]),
    ];
    const env = { PATH, ...environment };
    const stdin = String(input.stdin ?? '');
    const answer = await runProcess({
      command: this.#engine,
      args,
      env,
      stdin,
      ...bounds(this.#limits),
      signal,
    });
    const isMissing = 'stopped' in answer && answer.stopped === 'missing';
    // The engine's client is gone; the container is not, for it runs under the engine.
    if ('stopped' in answer && !isMissing) await this.#ask('kill', name);
    const afterMs = removedAfterMs(lifetime as JsonObject | undefined);
    if (afterMs !== undefined && !isMissing) this.#removeLater(afterMs);
    return answer;
  }

  /** The engine knows what is to be removed and when it ended, so that nothing has to be kept here: a process that dies leaves it to the next such run, of any process. */
  #removeLater(afterMs: number): void {
    const remove = () => void this.removeExpired().catch(() => {});
    remove();
    if (afterMs < 0x7fffffff) setTimeout(remove, afterMs + 100).unref();
  }

  /** Removes the containers whose time after their end is over. */
  async removeExpired(): Promise<void> {
    const listed = await this.#ask(
      'ps',
      '--all',
      '--quiet',
      '--filter',
      `label=${LABEL}`,
      '--filter',
      'status=exited',
    );
    const ids = listed.split(/\s+/).filter(Boolean);
    if (ids.length === 0) return;
    const format = `{{.Id}} {{.State.FinishedAt}} {{index .Config.Labels "${LABEL}"}}`;
    const lines = (await this.#ask('inspect', '--format', format, ...ids)).trim().split('\n');
    const over = lines.flatMap((line) => {
      const [id = '', finishedAt = '', afterMs] = line.split(' ');
      return Date.parse(finishedAt) + Number(afterMs) <= Date.now() ? [id] : [];
    });
    if (over.length > 0) await this.#ask('rm', ...over);
  }

  async #ask(...args: string[]): Promise<string> {
    const signal = new AbortController().signal;
    const request = { command: this.#engine, args, env: { PATH }, stdin: '', signal };
    const answer = await runProcess({ ...request, ...bounds(this.#limits) });
    return 'stdout' in answer ? answer.stdout : '';
  }
}

function removedAfterMs(lifetime: JsonObject | undefined): number | undefined {
  if (lifetime?.cleanup !== 'eventually') return undefined;
  return parseDuration(lifetime.after as string | DurationParts);
}

function lifetimeArgs(lifetime: JsonObject | undefined): string[] {
  const afterMs = removedAfterMs(lifetime);
  if (afterMs !== undefined) return ['--label', `${LABEL}=${afterMs}`];
  return lifetime?.cleanup === 'never' ? [] : ['--rm'];
}

function pairs(map: Json | undefined): [string, string][] {
  return Object.entries((map ?? {}) as object).map(([name, value]) => [name, String(value)]);
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
