import type { Destination } from '../kernel/destination.ts';
import { AiosError } from '../kernel/errors.ts';

/** `host`, `*.domain` or `*`, each with a port or without. */
const ENTRY = /^(\*|(?:\*\.)?[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?$/;
/** The entry for processes that AIOS starts (`run: shell`, containers, MCP over stdio); a host of that name is written with its port. */
const PROCESS = 'process';

interface Entry {
  readonly host: string;
  readonly port: number | undefined;
}

/** Where a secret may be sent: the list that stands beside it. */
export class SecretHosts {
  readonly #text: string;
  readonly #entries: readonly Entry[];
  readonly #isForProcesses: boolean;

  private constructor(text: string, entries: readonly Entry[], isForProcesses: boolean) {
    this.#text = text;
    this.#entries = entries;
    this.#isForProcesses = isForProcesses;
  }

  /**
   * @param text separated by commas or blanks: `host`, `host:port`, `*.domain` (every host below it, not itself), `*` (anywhere), `process`; nothing at all: nowhere
   * @throws AiosError `connectors.secret_refused` for an entry that is none of these, which allows nothing
   * @example SecretHosts.of('api.example.org, *.example.net:8443').allows({ hostname: 'api.example.org', port: 443 }) // true
   */
  static of(text: string): SecretHosts {
    const entries: Entry[] = [];
    let isForProcesses = false;
    for (const entry of text.toLowerCase().split(/[\s,]+/)) {
      if (entry === '') continue;
      if (entry === PROCESS) {
        isForProcesses = true;
        continue;
      }
      const [, host, port] = ENTRY.exec(entry) ?? [];
      if (host === undefined)
        throw new AiosError('connectors.secret_refused', {
          detail: `“${entry}” in the hosts of a secret is none of host, host:port, *.domain, * and process.`,
        });
      entries.push({ host: plain(host), port: port === undefined ? undefined : Number(port) });
    }
    return new SecretHosts(text, entries, isForProcesses);
  }

  allows(to: Destination): boolean {
    if (to === 'process') return this.#isForProcesses;
    const hostname = plain(to.hostname.toLowerCase());
    return this.#entries.some(
      ({ host, port }) =>
        (port === undefined || port === to.port) &&
        (host === '*' || host === hostname || (host.startsWith('*.') && hostname.endsWith(host.slice(1)))),
    );
  }

  toString(): string {
    return this.#text.trim() || 'none';
  }
}

/** An address without its brackets, a name without the dot of the root: both mean the same server. */
function plain(host: string): string {
  return host.replace(/^\[|\]$/g, '').replace(/\.$/, '');
}

/** Says, with the hosts of a secret, whether what asks for its value may have it. @throws AiosError `connectors.secret_refused` */
export type SecretUse = (name: string, hosts: SecretHosts) => void;

/**
 * The use of a secret in what goes to one server, or to a process.
 *
 * @param to undefined where it is not known: only a secret without hosts may be used then
 * @example variables('secrets', 'TOKEN', sentTo({ hostname: 'api.example.org', port: 443 }))
 */
export function sentTo(to: Destination | undefined): SecretUse {
  return (name, hosts) => {
    if (to === undefined || !hosts.allows(to)) throw refusal(name, hosts, to);
  };
}

/** The use of secrets in what may go to several servers, or to one that is known only once they are filled in: each is checked before anything is sent to it. */
export class SecretAudience {
  readonly #held = new Map<string, SecretHosts>();

  /** Whether none of its secrets has hosts. */
  get isEmpty(): boolean {
    return this.#held.size === 0;
  }

  /** Takes note of a secret, which is checked by `check`. */
  readonly use: SecretUse = (name, hosts) => void this.#held.set(name, hosts);

  /** @throws AiosError `connectors.secret_refused` for the first of the secrets that may not go there */
  check(to: Destination | undefined): void {
    for (const [name, hosts] of this.#held) sentTo(to)(name, hosts);
  }
}

function refusal(name: string, hosts: SecretHosts, to: Destination | undefined): AiosError {
  const where = to === undefined ? 'an invalid address' : to === PROCESS ? 'a process' : namedAs(to);
  return new AiosError('connectors.secret_refused', {
    detail: `The secret “${name}” may not be sent to ${where}: its hosts (AIOS_HOSTS_OF_${name}) are ${hosts}.`,
    extensions: { secret: name },
  });
}

function namedAs({ hostname, port }: Exclude<Destination, 'process'>): string {
  return `${hostname.includes(':') ? `[${hostname}]` : hostname}:${port}`;
}
