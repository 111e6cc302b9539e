import { get, getBytes, getText } from '../api/request.ts';
import { toBase64 } from './merkle.ts';
import type { LogSource, Remembered, Verification } from './verification.ts';

export const serverLog: LogSource = {
  checkpoint: () => getText('/api/v1/audit/checkpoint'),
  bundle: (path) => getBytes(`/api/v1/audit/tile/${path}`),
  proof: (index, size) => get('/api/v1/audit/proof', { index, size }),
};

export async function publishedKey(): Promise<string> {
  const { publicKey } = await get<{ publicKey: string }>('/api/v1/audit/key');
  return publicKey;
}

const KEPT_AS = 'aios.audit.seen';

/** What this browser verified last, of the log with this name. */
export function remembered(verifier: string): Remembered | undefined {
  try {
    const all = JSON.parse(localStorage.getItem(KEPT_AS) ?? '{}') as Record<string, Remembered>;
    return all[verifier.split('+')[0] ?? ''];
  } catch {
    return undefined;
  }
}

/** Keeps what was verified, so that the next time shows whether the log only grew. */
export function remember(verifier: string, { checkpoint, findings }: Verification): void {
  if (!checkpoint || findings.some(({ holds }) => !holds)) return;
  try {
    const all = JSON.parse(localStorage.getItem(KEPT_AS) ?? '{}') as Record<string, Remembered>;
    all[verifier.split('+')[0] ?? ''] = {
      verifier,
      size: checkpoint.size,
      root: toBase64(checkpoint.root),
      at: new Date().toISOString(),
    };
    localStorage.setItem(KEPT_AS, JSON.stringify(all));
  } catch {
    // storage is off: the next time begins anew
  }
}
