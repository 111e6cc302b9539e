import { AiosError } from '../../../../kernel/errors.ts';

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
