import type {
  Metadata,
  ServerInterceptingCall,
  ServerInterceptingCallInterface,
  ServerInterceptor,
} from '@grpc/grpc-js';
import { UNASKED_BODY_BYTES_MAX } from './body-intake.ts';

/** Asks who may send a message: throws, or rejects, for who may not. */
type Admit = (metadata: Metadata) => unknown;
type Status = Parameters<ServerInterceptingCallInterface['sendStatus']>[0];
type Listener = Parameters<ServerInterceptingCallInterface['start']>[0];
/** What of grpc-js' own call is set here: how long a message it takes. Private in its types; the version is pinned and `grpc-admission.test.ts` holds it. */
type Decoding = ServerInterceptingCall & { readonly decoder: { maxReadMessageLength: number } };

/**
 * Asks who calls as soon as the head of a call is there, before a byte of its message is read: until then HTTP/2 lets in 64 KiB. A handler alone would be
 * asked with the message in memory. The messages of methods that are open to all are small.
 *
 * @param admitOf for a method by its path; undefined for one that is open to all
 * @param statusOf an error as the status that the call ends with
 * @example new Server({ interceptors: [createAdmission((path) => permissions.get(path), statusOf)] })
 */
export function createAdmission(
  admitOf: (path: string) => Admit | undefined,
  statusOf: (error: unknown, path: string, metadata: Metadata) => Status,
): ServerInterceptor {
  return ({ path }, given) => {
    const call = given as Decoding;
    const admit = admitOf(path);
    if (!admit) {
      call.decoder.maxReadMessageLength = UNASKED_BODY_BYTES_MAX;
      return call;
    }
    // Its own object goes on: what the library wraps around a call is paid for by every message that is sent, too.
    const start = call.start.bind(call);
    call.start = (listener) => {
      start(
        new AdmittedListener(listener, admit, (error, metadata) =>
          call.sendStatus(statusOf(error, path, metadata)),
        ),
      );
    };
    return call;
  };
}

class AdmittedListener implements Listener {
  readonly #listener: Listener;
  readonly #admit: Admit;
  readonly #refuse: (error: unknown, metadata: Metadata) => void;
  #isGone = false;

  constructor(listener: Listener, admit: Admit, refuse: (error: unknown, metadata: Metadata) => void) {
    this.#listener = listener;
    this.#admit = admit;
    this.#refuse = refuse;
  }

  onReceiveMetadata(metadata: Metadata): void {
    const refuse = (error: unknown) => this.#refuse(error, metadata);
    try {
      const known = this.#admit(metadata);
      if (known instanceof Promise) known.then(() => this.#begin(metadata)).catch(refuse);
      else this.#listener.onReceiveMetadata(metadata);
    } catch (error) {
      refuse(error);
    }
  }

  /** Its handler would never be told that the call has ended. */
  #begin(metadata: Metadata): void {
    if (!this.#isGone) this.#listener.onReceiveMetadata(metadata);
  }

  onReceiveMessage(message: unknown): void {
    this.#listener.onReceiveMessage(message);
  }

  onReceiveHalfClose(): void {
    this.#listener.onReceiveHalfClose();
  }

  onCancel(): void {
    this.#isGone = true;
    this.#listener.onCancel();
  }
}
