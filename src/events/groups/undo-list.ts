import type { OnRollback } from '../consumer-definition.ts';

/** What a handler asks to be undone in memory, where the transaction that it wrote through is not committed. */
export class UndoList {
  readonly #undoing: (() => void)[] = [];

  readonly add: OnRollback = (undo) => void this.#undoing.push(undo);

  undo(): void {
    for (const undo of this.#undoing.splice(0)) undo();
  }
}
