/** The sleep of a consumer between two looks, and its pauses between two batches. A wake while it is awake is kept. */
export class ConsumerRest {
  #isWoken = false;
  #wake: (() => void) | undefined;
  #hurry: (() => void) | undefined;
  #later: NodeJS.Timeout | undefined;

  /** Before it looks: what it is woken for from then on, that look may miss. */
  begin(): void {
    this.#isWoken = false;
  }

  wake(): void {
    this.#isWoken = true;
    this.#wake?.();
  }

  /** Many ask within the time, and it wakes once. */
  wakeIn(ms: number): void {
    this.#later ??= setTimeout(() => {
      this.#later = undefined;
      this.wake();
    }, ms).unref();
  }

  /** Until it is woken, or the time is over. */
  async sleep(ms: number): Promise<void> {
    if (this.#isWoken) return;
    await wait(ms, (end) => {
      this.#wake = end;
    });
    this.#wake = undefined;
  }

  /** The time in which a batch grows; a wake does not end it, `hurry` does. */
  async pause(ms: number): Promise<void> {
    await wait(ms, (end) => {
      this.#hurry = end;
    });
    this.#hurry = undefined;
  }

  hurry(): void {
    this.#hurry?.();
  }
}

async function wait(ms: number, take: (end: () => void) => void): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  await new Promise<void>((resolve) => {
    take(resolve);
    timer = setTimeout(resolve, ms);
  });
  clearTimeout(timer);
}
