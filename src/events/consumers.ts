import { setTimeout as sleep } from 'node:timers/promises';
import { metrics, type ObservableResult } from '@opentelemetry/api';
import { toAiosError } from '../kernel/errors.ts';
import { Consumer } from './consumer.ts';
import type { ConsumerDefinition, ConsumerDependencies } from './consumer-definition.ts';
import { DeadLetters } from './dead-letters.ts';
import { GROUPS_MOVED, type GroupProgress, readGroups } from './group-offsets.ts';
import { type Appendix, Membership } from './groups/membership.ts';

const lagGauge = metrics.getMeter('aios.events').createObservableGauge('aios.events.lag', {
  description: 'Events of the log that a consumer group has not passed, as far as this process knows',
  unit: '{event}',
});

/**
 * The consumer groups of this process: started and stopped together, woken by what this process appends.
 *
 * @example const consumers = new EventConsumers({ db, log, limits }); consumers.add({ group: 'features', handle }); await consumers.start();
 */
export class EventConsumers {
  readonly #dependencies: ConsumerDependencies;
  #consumers: Consumer[] = [];
  /** Tells of groups that this process does not work on, for their dead letters and replays. */
  onUnknownGroup: (group: string) => Promise<ConsumerDefinition | undefined> = async () => undefined;
  readonly deadLetters: DeadLetters;
  /** What this process is to the groups. */
  readonly membership: Membership;
  #stopListening: (() => void) | undefined;
  #unfollow: (() => void) | undefined;
  readonly #observe = (result: ObservableResult) => {
    for (const [group, lag] of Object.entries(this.lags())) result.observe(lag, { group });
  };

  constructor(dependencies: ConsumerDependencies) {
    this.#dependencies = dependencies;
    this.membership = new Membership({
      ...dependencies,
      onAppended: ({ heads, types }) => this.#notice(heads, types),
      onError: (error) => dependencies.onError?.('membership', toAiosError(error)),
    });
    this.deadLetters = new DeadLetters(dependencies.db, (group) => this.find(group), dependencies.limits);
  }

  add(definition: ConsumerDefinition): Consumer {
    const consumer = new Consumer(definition, this.#dependencies, this.membership);
    this.#consumers.push(consumer);
    return consumer;
  }

  /** A group that comes while the others run. Where it cannot begin, as the database is away, it is not there: who added it may do so again. */
  async addRunning(definition: ConsumerDefinition): Promise<void> {
    try {
      await this.add(definition).start();
    } catch (error) {
      await this.remove(definition.group);
      throw error;
    }
  }

  /** Ends one of those. */
  async remove(group: string): Promise<void> {
    const gone = this.#consumers.find(({ definition }) => definition.group === group);
    this.#consumers = this.#consumers.filter((consumer) => consumer !== gone);
    await gone?.stop();
  }

  /** What a group does with events, also where other processes work on it. */
  async find(group: string): Promise<ConsumerDefinition | undefined> {
    const known = this.#consumers.find(({ definition }) => definition.group === group);
    return known?.definition ?? this.onUnknownGroup(group);
  }

  /** All groups of the log, those of other processes too. */
  groups(): Promise<GroupProgress[]> {
    return readGroups(this.#dependencies.db);
  }

  /** Gives new groups their offsets: what keeps state from the log may join it before anything is read. */
  async register(): Promise<void> {
    await Promise.all(this.#consumers.map((consumer) => consumer.register()));
  }

  async start(): Promise<void> {
    this.#stopListening = this.#dependencies.log.onCommitted((events) => {
      const heads = new Map<number, number>();
      for (const { partition, offset } of events) heads.set(partition, offset + 1);
      const types = [...new Set(events.map(({ event }) => event.type))];
      this.#notice(heads, types);
      if (this.#consumers.some((consumer) => consumer.isShared())) this.membership.tell(heads, types);
    });
    this.#unfollow = this.#dependencies.changes?.follow([GROUPS_MOVED], () => {
      for (const consumer of this.#consumers) consumer.lookAgain();
    });
    lagGauge.addCallback(this.#observe);
    await Promise.all(this.#consumers.map((consumer) => consumer.start()));
  }

  async stop(): Promise<void> {
    this.#stopListening?.();
    this.#unfollow?.();
    lagGauge.removeCallback(this.#observe);
    await Promise.all(this.#consumers.map((consumer) => consumer.stop()));
    await this.membership.close();
  }

  #notice(heads: Appendix['heads'], types: Appendix['types']): void {
    for (const consumer of this.#consumers) {
      for (const [partition, next] of heads) consumer.notice(partition, next);
      if (consumer.wantsAny(types)) consumer.wake();
      else consumer.wakeLater();
    }
  }

  /** The partitions of a group that this process works on. */
  partitions(group: string): number[] {
    return this.#consumers.find(({ definition }) => definition.group === group)?.partitions() ?? [];
  }

  /** Events that a group has not passed. */
  lags(): Record<string, number> {
    return Object.fromEntries(this.#consumers.map((consumer) => [consumer.definition.group, consumer.lag()]));
  }

  /** Resolves when every group has passed all that this process knows of. */
  async idle(): Promise<void> {
    while (this.#consumers.some((consumer) => consumer.lag() > 0)) await sleep(5);
  }
}
