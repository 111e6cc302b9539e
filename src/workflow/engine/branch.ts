import type { Branch } from '../interpreter/branch.ts';

/** A branch of a run in memory: abandoning it abandons what is inside it, and aborts its signal. */
export class LiveBranch implements Branch {
  #abandoned = false;
  #controller: AbortController | undefined;
  #listeners: (() => void)[] | undefined;

  constructor(parent: LiveBranch | undefined) {
    parent?.onAbandon(() => this.abandon());
  }

  get abandoned(): boolean {
    return this.#abandoned;
  }

  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#abandoned) this.#controller.abort();
    }
    return this.#controller.signal;
  }

  onAbandon(listener: () => void): void {
    if (this.#abandoned) {
      listener();
      return;
    }
    this.#listeners ??= [];
    this.#listeners.push(listener);
  }

  abandon(): void {
    if (this.#abandoned) return;
    this.#abandoned = true;
    this.#controller?.abort();
    for (const listener of this.#listeners ?? []) listener();
    this.#listeners = undefined;
  }
}
