import { AiosError } from '../../kernel/errors.ts';

/** The time of a call: it ends when its caller goes away, when it takes too long, and when AIOS stops. */
export interface CallScope {
  readonly signal: AbortSignal;
  /** The call is over; what was left of it is not. */
  end(): void;
}

/** All calls under way, so that a stop can end them. */
export class CallScopes {
  readonly #open = new Set<AbortController>();

  /**
   * @param msMax how long a call may take
   * @param deadlineMs how long its caller waits at most
   */
  open(caller: AbortSignal, msMax: number, deadlineMs = Number.POSITIVE_INFINITY): CallScope {
    const ms = Math.min(msMax, deadlineMs);
    const controller = new AbortController();
    const cancel = () => controller.abort(new AiosError('serving.canceled'));
    if (caller.aborted) cancel();
    else caller.addEventListener('abort', cancel, { once: true });
    const timer = setTimeout(
      () =>
        controller.abort(
          new AiosError('serving.timeout', {
            detail: `The call was not over within ${ms} ms.`,
            ...(deadlineMs < msMax && { extensions: { deadlineOf: 'caller' } }),
          }),
        ),
      ms,
    );
    this.#open.add(controller);
    return {
      signal: controller.signal,
      end: () => {
        clearTimeout(timer);
        caller.removeEventListener('abort', cancel);
        this.#open.delete(controller);
      },
    };
  }

  /** Ends every call that is under way. */
  close(): void {
    for (const controller of this.#open)
      controller.abort(new AiosError('serving.canceled', { detail: 'AIOS is stopping.' }));
  }
}
