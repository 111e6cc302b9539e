import type { Agent } from 'undici';
import type { Limits } from '../kernel/limits.ts';
import { Authenticator } from './authentication.ts';
import { createGuardedAgent, namesHost, type Resolve } from './egress.ts';

export interface OutgoingOptions {
  limits: Limits;
  /** `host` or `host:port` that may be called although its address is private. */
  allowPrivate: readonly string[];
  resolve?: Resolve;
}

/** What every kind of call that a flow writes out shares: the guard of what leaves, its connections, and the credentials that were obtained for them. */
export class Outgoing {
  readonly limits: Limits;
  readonly agent: Agent;
  readonly authenticator: Authenticator;
  readonly resolve: Resolve | undefined;
  readonly #allowed: readonly string[];

  constructor({ limits, allowPrivate, resolve }: OutgoingOptions) {
    this.limits = limits;
    this.resolve = resolve;
    this.#allowed = allowPrivate.map((name) => name.toLowerCase());
    this.agent = createGuardedAgent({
      isAllowed: (hostname, port) => this.isAllowed(hostname, port),
      connectionsMax: limits.httpConnectionsMax,
      connectTimeoutMs: limits.httpCallMs,
      ...(resolve ? { resolve } : {}),
    });
    this.authenticator = new Authenticator(this.agent, limits);
  }

  /** Whether a host may be reached although its address is private. */
  isAllowed(hostname: string, port: number): boolean {
    return this.#allowed.some((name) => namesHost(name, hostname, port));
  }

  /** The same guard with connections of its own, for more hosts that may be reached although their addresses are private. */
  allowing(more: readonly string[]): Outgoing {
    const { limits, resolve } = this;
    return new Outgoing({
      limits,
      allowPrivate: [...this.#allowed, ...more],
      ...(resolve ? { resolve } : {}),
    });
  }

  /** Waits for what is under way, then closes the connections. */
  close(): Promise<void> {
    return this.agent.close();
  }
}
