import { setTimeout as sleep } from 'node:timers/promises';
import { metrics, type ObservableResult } from '@opentelemetry/api';
import { Consumer, type ConsumerDefinition, type ConsumerDependencies } from './consumer.ts';
import { DeadLetters } from './dead-letters.ts';

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
  readonly #consumers: Consumer[] = [];
  readonly deadLetters: DeadLetters;
  #stopListening: (() => void) | undefined;
  readonly #observe = (result: ObservableResult) => {
    for (const [group, lag] of Object.entries(this.lags())) result.observe(lag, { group });
  };

  constructor(dependencies: ConsumerDependencies) {
    this.#dependencies = dependencies;
    this.deadLetters = new DeadLetters(dependencies.db, () =>
      this.#consumers.map(({ definition }) => definition),
    );
  }

  add(definition: ConsumerDefinition): Consumer {
    const consumer = new Consumer(definition, this.#dependencies);
    this.#consumers.push(consumer);
    return consumer;
  }

  /** Gives new groups their offsets: what keeps state from the log may join it before anything is read. */
  async register(): Promise<void> {
    await Promise.all(this.#consumers.map((consumer) => consumer.register()));
  }

  async start(): Promise<void> {
    this.#stopListening = this.#dependencies.log.onCommitted((events) => {
      for (const consumer of this.#consumers) {
        for (const { partition, offset } of events) consumer.notice(partition, offset + 1);
        // Events that it only passes over wait for its next look: each batch is a transaction.
        if (consumer.wantsAny(events)) consumer.wake();
      }
    });
    lagGauge.addCallback(this.#observe);
    await Promise.all(this.#consumers.map((consumer) => consumer.start()));
  }

  async stop(): Promise<void> {
    this.#stopListening?.();
    lagGauge.removeCallback(this.#observe);
    await Promise.all(this.#consumers.map((consumer) => consumer.stop()));
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
