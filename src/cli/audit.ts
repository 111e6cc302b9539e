import { EXIT, print, table } from './output.ts';
import type { Action } from './program.ts';
import { openClient } from './session.ts';

interface AuditEntry {
  index: number;
  id: string;
  kind: string;
  action: string;
  actor: { kind: string; id: string };
  object: string;
  at: string;
  payload?: unknown;
}

interface Proof {
  index: number;
  size: number;
  leafHash: string;
  hashes: string[];
}

export const audit: Action = async (options, [index]) => {
  const client = await openClient(options);
  if (index !== undefined) {
    const entry = await client.request<AuditEntry>('GET', `/api/v1/audit/entries/${index}`);
    const proof = await client.request<Proof>('GET', '/api/v1/audit/proof', { query: { index } });
    print({ entry, proof }, options.json, () =>
      [
        `${entry.kind} ${entry.action}  ${entry.object}  by ${entry.actor.kind} ${entry.actor.id}  ${entry.at}`,
        JSON.stringify(entry.payload ?? null, null, 2),
        `leaf ${proof.leafHash}, in a tree of ${proof.size} with ${proof.hashes.length} hashes as its proof`,
      ].join('\n'),
    );
    return EXIT.ok;
  }
  const { limit } = options as Record<string, string | undefined>;
  const page = await client.request<{ items: AuditEntry[] }>('GET', '/api/v1/audit/entries', {
    query: { limit },
  });
  print(page, options.json, () =>
    table(
      ['index', 'at', 'what', 'of', 'by'],
      page.items.map((entry) => [
        String(entry.index),
        entry.at,
        `${entry.kind} ${entry.action}`,
        entry.object,
        `${entry.actor.kind} ${entry.actor.id}`,
      ]),
    ),
  );
  return EXIT.ok;
};
