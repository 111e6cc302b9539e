import { AiosError } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import { keyText } from './compiled.ts';
import type { OnlineRow, OnlineStore } from './online-store.ts';
import type { PushedRows } from './pushed-rows.ts';
import type { RowSource, Wanted } from './row-source.ts';
import { firstPass, type RowView, rowValues } from './row-view.ts';
import type { Reading } from './service-views.ts';
import type { AsOf, FeatureValue } from './windows/state.ts';

type Values = readonly FeatureValue[];

/** An entity that is asked for: its keys as the caller gave them, and as one text. */
export interface Asked {
  readonly keys: JsonObject;
  readonly entity: string;
  readonly asOf: AsOf;
}

export interface RowStores {
  readonly online: OnlineStore;
  /** Of the batch views. */
  readonly tables: RowSource;
  readonly pushed: PushedRows;
}

/** The values of batch and push views: the newest rows, or those of the past from what was pushed and from the sources themselves. */
export class RowFeatures {
  readonly #stores: RowStores;

  constructor(stores: RowStores) {
    this.#stores = stores;
  }

  /**
   * Of many entities, all as of one time; at once when all are in memory. A row that is newer than that time gives way to the one before it, which history knows.
   *
   * @throws AiosError `features.offline_only`, `features.first_pass`, and what history refuses
   */
  current(
    reading: Reading<RowView>,
    entities: readonly string[],
    keys: readonly JsonObject[],
    asOf: AsOf,
  ): Values[] | Promise<Values[]> {
    const { view } = reading;
    if (!view.isOnline) {
      throw new AiosError('features.offline_only', {
        detail: `The view “${view.name}” is kept for history only.`,
      });
    }
    const asked = (at: number): Asked => ({ keys: keys[at]!, entity: entities[at]!, asOf });
    if (asOf.recordedByMs !== undefined)
      return this.past(
        reading,
        entities.map((_, at) => asked(at)),
      );
    if (reading.isAwaited) throw firstPass(view);
    const rows = this.#stores.online.read(view.kept, entities);
    const finish = (found: readonly (OnlineRow | undefined)[]) =>
      this.#finish(reading, found, asked, asOf.timeMs);
    return rows instanceof Promise ? rows.then(finish) : finish(rows);
  }

  /** Of many places in the past. */
  async past(reading: Reading<RowView>, asked: readonly Asked[]): Promise<Values[]> {
    const rows = await this.#history(reading, asked);
    return asked.map(({ asOf }, index) => rowValues(reading.view, rows[index], asOf.timeMs));
  }

  #finish(
    reading: Reading<RowView>,
    rows: readonly (OnlineRow | undefined)[],
    asked: (at: number) => Asked,
    timeMs: number,
  ): Values[] | Promise<Values[]> {
    let newer: number[] | undefined;
    const values = new Array<Values>(rows.length);
    for (let at = 0; at < rows.length; at++) {
      const row = rows[at];
      if (row !== undefined && row.timeMs > timeMs) {
        newer ??= [];
        newer.push(at);
      } else values[at] = rowValues(reading.view, row, timeMs);
    }
    return newer ? this.#replace(reading, values, newer, asked) : values;
  }

  async #replace(
    reading: Reading<RowView>,
    values: Values[],
    newer: readonly number[],
    asked: (at: number) => Asked,
  ): Promise<Values[]> {
    const past = await this.past(reading, newer.map(asked));
    for (const [index, at] of newer.entries()) values[at] = past[index]!;
    return values;
  }

  #history(
    { view, keys: names, keyTypes }: Reading<RowView>,
    asked: readonly Asked[],
  ): Promise<(OnlineRow | undefined)[]> {
    const wanted = asked.map(
      ({ keys, entity, asOf }): Wanted => ({
        keys: names.map((name) => {
          const value = keys[name] ?? null;
          if (value === null || value === '') return null; // an empty key names nobody, as online
          return keyText(value, keyTypes?.[name]);
        }),
        entity,
        asOf,
      }),
    );
    const { tables, pushed } = this.#stores;
    return view.push === undefined ? tables.history(view, wanted) : pushed.history(view, wanted);
  }
}
