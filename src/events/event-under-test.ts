import type { CloudEvent } from '../kernel/cloudevent.ts';

/** A CloudEvent as the tests of this module send it. */
export const event = (id: string, more: Partial<CloudEvent> = {}): CloudEvent => ({
  specversion: '1.0',
  id,
  source: 'urn:test',
  type: 'thing.happened',
  time: '2026-01-01T00:00:00Z',
  data: { n: 1 },
  ...more,
});
