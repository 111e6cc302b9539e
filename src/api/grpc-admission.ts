import type {
  Metadata,
  ServerInterceptingCall,
  ServerInterceptingCallInterface,
  ServerInterceptor,
} from '@grpc/grpc-js';
import { AiosError } from '../kernel/errors.ts';
import type { BodyIntake } from './body-intake.ts';
import { GrpcMessages } from './grpc-messages.ts';

/** Asks who may send a message: throws, or rejects, for who may not. */
type Admit = (metadata: Metadata) => unknown;
/** The status that a call ends with. */
export type Status = Parameters<ServerInterceptingCallInterface['sendStatus']>[0];
type Listener = Parameters<ServerInterceptingCallInterface['start']>[0];
/**
 * What of grpc-js' own call is set here: who puts its messages together, and how large one may become that is compressed. Private in its types; the version is
 * pinned and `grpc-admission.test.ts` holds it.
 */
type Reading = ServerInterceptingCall & { decoder: GrpcMessages; maxReceiveMessageSize: number };

/** A message of a method that is open to all: the names of a service or region. A connection may begin hundreds of calls, of which nobody asks who makes them. */
const OPEN_MESSAGE_BYTES_MAX = 4 * 1024;
/** Within it a call that is open to all has its message. */
const OPEN_MESSAGE_MS = 10_000;

export interface AdmissionOptions {
  /** For a method by its path; undefined for one that is open to all. */
  admitOf(path: string): Admit | undefined;
  /** An error as the status that the call ends with. */
  statusOf(error: unknown, path: string, metadata: Metadata): Status;
  /** A status with what is told of every call, where grpc-js ends one by itself. */
  identified(status: Status, metadata: Metadata): Status;
  /** Holds large messages, from their head to their answer. */
  readonly intake: BodyIntake;
  readonly messageBytesMax: number;
  /** Within it a call that is open to all has its message; 10 s when left out. */
  readonly openMessageMs?: number | undefined;
}

/** The messages of streams, by the metadata of their call: all that the library's call and its handler share. */
const messagesOfStreams = new WeakMap<Metadata, GrpcMessages>();

/** To be told of each answer of a stream: until then its message has its place in the intake. */
export function messagesOf(metadata: Metadata): GrpcMessages | undefined {
  return messagesOfStreams.get(metadata);
}

/**
 * Asks who calls as soon as the head of a call is there, before a byte of its message is read: until then HTTP/2 lets in 64 KiB. A handler alone would be
 * asked with the message in memory. The messages of methods that are open to all are small and come soon; those of all others are held to the intake.
 *
 * @example new Server({ interceptors: [createAdmission({ admitOf: (path) => permissions.get(path), … })] })
 */
export function createAdmission(options: AdmissionOptions): ServerInterceptor {
  const { admitOf, statusOf, identified, intake, openMessageMs = OPEN_MESSAGE_MS } = options;
  const { messageBytesMax: bytesMax } = options;
  const bounds = { bytesMax, intake };
  const openBounds = { bytesMax: OPEN_MESSAGE_BYTES_MAX, intake: undefined };
  return ({ path, requestStream }, given) => {
    const call = given as Reading;
    const admit = admitOf(path);
    // Its own object goes on: what the library wraps around a call is paid for by every message that is sent, too.
    const start = call.start.bind(call);
    const sendStatus = call.sendStatus.bind(call);
    call.start = (next) => {
      const refuse = (error: unknown) => call.sendStatus(statusOf(error, path, listener.metadata!));
      const messages = new GrpcMessages(admit ? bounds : openBounds, refuse);
      call.decoder = messages;
      if (!admit) call.maxReceiveMessageSize = OPEN_MESSAGE_BYTES_MAX;
      const listener: CallListener = admit
        ? new AdmittedListener(next, messages, refuse, admit, requestStream)
        : new OpenListener(next, messages, refuse, openMessageMs);
      call.sendStatus = (status) => {
        const { metadata } = listener;
        sendStatus(status.code === 0 || !metadata ? status : identified(status, metadata));
      };
      start(listener);
    };
    return call;
  };
}

class CallListener implements Listener {
  /** Of the call, once its head is there. */
  metadata: Metadata | undefined;
  readonly #next: Listener;
  readonly #messages: GrpcMessages;
  protected readonly refuse: (error: unknown) => void;
  #isGone = false;

  constructor(next: Listener, messages: GrpcMessages, refuse: (error: unknown) => void) {
    this.#next = next;
    this.#messages = messages;
    this.refuse = refuse;
  }

  onReceiveMetadata(metadata: Metadata): void {
    this.metadata = metadata;
    this.begin(metadata);
  }

  /** A handler would never be told of a call that has ended by now. */
  protected begin(metadata: Metadata): void {
    if (!this.#isGone) this.#next.onReceiveMetadata(metadata);
  }

  onReceiveMessage(message: unknown): void {
    this.#next.onReceiveMessage(message);
  }

  onReceiveHalfClose(): void {
    this.#next.onReceiveHalfClose();
  }

  /** grpc-js tells so the end of every call, that of one with its answer too. */
  onCancel(): void {
    this.#isGone = true;
    this.#messages.end();
    this.#next.onCancel();
  }
}

class AdmittedListener extends CallListener {
  readonly #admit: Admit;
  readonly #messages: GrpcMessages | undefined;

  constructor(
    next: Listener,
    messages: GrpcMessages,
    refuse: (error: unknown) => void,
    admit: Admit,
    isStream: boolean,
  ) {
    super(next, messages, refuse);
    this.#admit = admit;
    this.#messages = isStream ? messages : undefined;
  }

  protected override begin(metadata: Metadata): void {
    if (this.#messages) messagesOfStreams.set(metadata, this.#messages);
    try {
      const known = this.#admit(metadata);
      if (known instanceof Promise) known.then(() => super.begin(metadata)).catch(this.refuse);
      else super.begin(metadata);
    } catch (error) {
      this.refuse(error);
    }
  }
}

/** Of a method that is open to all: strangers hold no call without its message. */
class OpenListener extends CallListener {
  readonly #timer: NodeJS.Timeout;

  constructor(next: Listener, messages: GrpcMessages, refuse: (error: unknown) => void, messageMs: number) {
    super(next, messages, refuse);
    this.#timer = setTimeout(() => {
      const detail = `The message was not there within ${messageMs} ms.`;
      refuse(new AiosError('request.timeout', { detail }));
    }, messageMs).unref();
  }

  override onReceiveMessage(message: unknown): void {
    clearTimeout(this.#timer);
    super.onReceiveMessage(message);
  }

  override onCancel(): void {
    clearTimeout(this.#timer);
    super.onCancel();
  }
}
