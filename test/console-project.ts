const HEAD = (name: string, more = '') =>
  `document: { dsl: '1.0.3', namespace: test, name: ${name}, version: '1.0.0'${more} }`;
const STEPS = 'do: [ { a: { set: { b: 1 } } } ]\n';

/** What the pages of the console have to show besides the example: a flow that starts by time, and one whose runs wait in a queue. */
export const CONSOLE_PROJECT = {
  'workflows/nightly.yaml': `${HEAD('nightly')}\nschedule: { cron: '30 2 * * *' }\n${STEPS}`,
  'run-queues/narrow.yaml': 'name: narrow\nconcurrency: 1\n',
  'workflows/queued.yaml': `${HEAD('queued', ', metadata: { aios: { queue: { name: narrow } } }')}\n${STEPS}`,
};
