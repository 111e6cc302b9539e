import { setTimeout as sleep } from 'node:timers/promises';
import { Consumer, type ConsumerDefinition, type ConsumerDependencies } from './consumer.ts';
import { DeadLetters } from './dead-letters.ts';

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

  async start(): Promise<void> {
    this.#stopListening = this.#dependencies.log.onCommitted((events) => {
      for (const consumer of this.#consumers) {
        for (const { partition, offset } of events) consumer.notice(partition, offset + 1);
        consumer.wake();
      }
    });
    await Promise.all(this.#consumers.map((consumer) => consumer.start()));
  }

  async stop(): Promise<void> {
    this.#stopListening?.();
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
