import { AiosError } from '../../../../kernel/errors.ts';
import type { OutgoingMessage } from '../../port/protocol.ts';

/** Left for the topic and the properties of the bridge, which count. */
const HEADER_BYTES = 4096;
/** A text of MQTT (1.5.4): a topic, and the name or the value of a property. */
const TEXT_BYTES_MAX = 65_535;

/** Reason codes that are of the one message: its topic, its size, its form. All others (rights, quotas) may be over when it comes again. */
const MESSAGE_REFUSED = new Set([0x90, 0x95, 0x99]);

export function isOfMessage(reasonCode: number): boolean {
  return MESSAGE_REFUSED.has(reasonCode);
}

export function refusedFor(detail: string, cause?: unknown): AiosError {
  return new AiosError('bridges.message_refused', { detail, cause });
}

/** Of the one message; nothing where it is of the connection, or of the rights of the bridge. */
export function refusal(error: unknown): AiosError | undefined {
  if (error instanceof AiosError) return error.code === 'bridges.message_refused' ? error : undefined;
  const { code, message } = error as { code?: unknown; message: string };
  return typeof code === 'number' && isOfMessage(code) ? refusedFor(message, error) : undefined;
}

/** @throws AiosError `bridges.message_refused` */
export function requireTopic(topic: unknown): asserts topic is string {
  const isTopic = typeof topic === 'string' && topic !== '' && !/[+#\0]/.test(topic);
  if (!isTopic || Buffer.byteLength(topic) > TEXT_BYTES_MAX)
    throw refusedFor(`${JSON.stringify(topic)?.slice(0, 100)} is not a topic.`);
}

/**
 * @param bytesMax what the broker takes with all that belongs to a message; no limit when left out
 * @throws AiosError `bridges.message_refused`
 */
export function requireSize(
  { value, headers }: OutgoingMessage,
  bytesMax: number = Number.POSITIVE_INFINITY,
): void {
  let bytes = value.byteLength;
  for (const [name, text] of Object.entries(headers)) {
    const textBytes = Buffer.byteLength(text);
    if (textBytes > TEXT_BYTES_MAX)
      throw refusedFor(
        `${name} has ${textBytes} bytes; a property of MQTT takes ${TEXT_BYTES_MAX}. In structured mode it is part of the body.`,
      );
    bytes += Buffer.byteLength(name) + textBytes + 5; // their lengths and the kind
  }
  if (bytes + HEADER_BYTES > bytesMax)
    throw refusedFor(
      `${bytes} bytes; the broker takes ${bytesMax}, with ${HEADER_BYTES} for the headers of the bridge.`,
    );
}
