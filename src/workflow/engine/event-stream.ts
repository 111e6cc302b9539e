import type { LoggedEvent } from '../../kernel/cloudevent.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import type { ListenFilter, TakenEvent } from '../interpreter/journal.ts';
import type { LiveBranch } from './branch.ts';
import type { Recorder } from './recorder.ts';
import type { RunIdentity } from './step-context.ts';
import type { Waiters } from './waiters.ts';

/** The signal that brings an event to a `listen` step: keys sort as the events stand in the log, and each event has one for a filter. */
export function eventSignalKey(listenKey: string, logged: LoggedEvent, filterIndex: number): string {
  const { recordedAtMs, partition, offset } = logged;
  const place = [pad(recordedAtMs, 14), pad(partition, 5), pad(offset, 15)].join('.');
  return `${streamOf(listenKey)}${place}/${pad(filterIndex, 4)}`;
}

function pad(value: number, digits: number): string {
  return String(Math.floor(value)).padStart(digits, '0');
}

function streamOf(listenKey: string): string {
  return `${listenKey}^on/`;
}

/** The events that the `listen` steps of a run take: each is recorded as it is taken, and its signal goes with that record. */
export class EventStreams {
  readonly #run: RunIdentity;
  readonly #recorder: Recorder;
  readonly #waiters: Waiters;
  readonly #nowMs: () => number;

  constructor(run: RunIdentity, recorder: Recorder, waiters: Waiters, nowMs: () => number) {
    this.#run = run;
    this.#recorder = recorder;
    this.#waiters = waiters;
    this.#nowMs = nowMs;
  }

  subscribe(key: string, filters: readonly ListenFilter[], branch: LiveBranch): undefined {
    branch.onAbandon(() => this.#unsubscribe(key));
    if (this.#recorder.find(`${key}^open`)) return undefined;
    this.#recorder.record({ k: `${key}^open`, s: this.#nowMs() });
    const { id: runId, workflow, version } = this.#run;
    for (const [filterIndex, { filter, attributes, correlate }] of filters.entries()) {
      const { type } = filter;
      const place = { runId, key, workflow, version, stepId: key, filterIndex };
      this.#recorder.unwritten.subscriptions.push({ ...place, type, attributes, correlate });
    }
    return undefined;
  }

  async event(key: string, n: number, branch: LiveBranch): Promise<TakenEvent> {
    const k = `${key}^e${n}`;
    const known = this.#recorder.find(k);
    if (known) return known.o as unknown as TakenEvent;
    return new Promise((resolve, reject) => {
      // Recorded in the same turn as the signal is used up: no barrier may fall between the two.
      const taken = (signalKey: string, payload: Json): void => {
        const [place = '', filter] = signalKey.slice(streamOf(key).length).split('/');
        const event = { filter: Number(filter), place, event: payload as JsonObject };
        this.#recorder.record({ k, s: this.#nowMs(), d: 0, o: event });
        resolve(event);
      };
      this.#waiters.wait({ key: streamOf(key), label: 'listen', branch, taken }).catch(reject);
    });
  }

  listened(key: string, output: Json, keys: (() => JsonObject) | undefined): void {
    if (this.#recorder.find(key)) return;
    const s = this.#recorder.find(`${key}^open`)?.s ?? this.#nowMs();
    this.#recorder.record({ k: key, s, d: this.#nowMs() - s, o: output });
    this.#unsubscribe(key);
    const found = keys?.();
    if (!found || Object.keys(found).length === 0) return;
    this.#recorder.unwritten.correlations ??= new Map();
    this.#recorder.unwritten.correlations.set(key, found);
  }

  #unsubscribe(key: string): void {
    const { unsubscribed, consumed } = this.#recorder.unwritten;
    unsubscribed.push(key);
    consumed.push(...this.#waiters.drop(streamOf(key)));
  }
}
