import type { JsonObject } from '../../../kernel/json.ts';
import { event } from '../../event-under-test.ts';
import { contextOf } from './protocol-under-test.ts';
import { BRIDGE_PROTOCOLS } from './protocols.ts';

/*
 * A process that hands a sink all of its events in batches, as one does that has recorded nothing of what was sent before. A test kills it in the middle.
 *
 *     node sink-process-under-test.ts amqp '{"host":…}' name 400
 */
const [protocolName, settings, name, count] = process.argv.slice(2) as [string, string, string, string];
const BATCH = 20;

const protocol = BRIDGE_PROTOCOLS.find((one) => one.name === protocolName)!;
const sink = await protocol.sink!.open(contextOf(protocol, { name }), JSON.parse(settings) as JsonObject);
for (let from = 0; from < Number(count); from += BATCH) {
  const batch = Array.from({ length: Math.min(BATCH, Number(count) - from) }, (_, n) => ({
    ...{ partition: (from + n) % 3, offset: from + n, timeMs: 0, recordedAtMs: 0 },
    event: event(`e${from + n}`),
  }));
  await sink.deliver(batch);
  process.stdout.write(`${from + BATCH}\n`);
}
await sink.close?.();
