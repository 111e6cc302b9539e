import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import type { AiosClient } from '../client/client.ts';
import { AiosError } from '../kernel/errors.ts';
import { formatUsd } from '../kernel/money.ts';
import type { Action } from './command-row.ts';
import { requireRun } from './known-names.ts';
import { EXIT, pastTime, print, table } from './output.ts';
import { openClient } from './session.ts';

interface Sum {
  key: string;
  amountMicroUsd: number;
  count: number;
}

/** Sums of charges, or with `--focus` every charge as CSV in the columns of FOCUS. */
export const costs: Action = async (options) => {
  const { by, ofRun, focus, ...period } = options as Record<string, string | undefined>;
  const [since, until] = [pastTime(period.since), pastTime(period.until)];
  const client = await openClient(options);
  if (focus !== undefined) {
    await requireCharged(client, ofRun);
    const csv = await client.download('/api/v1/costs/focus.csv', { since, until, run: ofRun });
    const to = focus === '-' ? process.stdout : createWriteStream(focus);
    await pipeline(Readable.fromWeb(csv as ReadableStream<Uint8Array>), to, { end: focus !== '-' });
    return EXIT.ok;
  }
  if (ofRun !== undefined)
    throw new AiosError('request.invalid', {
      detail: '--of-run goes with --focus; `aios runs ID` shows the costs of one.',
    });
  const { items } = await client.request<{ items: Sum[] }>('GET', '/api/v1/costs', {
    query: { groupBy: by, since, until },
  });
  print({ items }, options.json, () =>
    table(
      [by ?? 'service', 'charges', 'cost'],
      items.map(({ key, count, amountMicroUsd }) => [key, String(count), formatUsd(amountMicroUsd)]),
    ),
  );
  return EXIT.ok;
};

/** A run that is gone keeps its charges; of one that has none it must be there: the heading alone is no answer to an id that was mistyped. */
async function requireCharged(client: AiosClient, run: string | undefined): Promise<void> {
  if (run === undefined) return;
  const csv = await client.download('/api/v1/costs/focus.csv', { run });
  let lines = 0;
  for await (const chunk of Readable.fromWeb(csv as ReadableStream<Uint8Array>))
    lines += Buffer.from(chunk).toString().split('\n').length - 1;
  if (lines < 2) await requireRun(client, run);
}
