const HEAD = (name: string, more = '') =>
  `document: { dsl: '1.0.3', namespace: test, name: ${name}, version: '1.0.0'${more} }`;
const STEPS = 'do: [ { a: { set: { b: 1 } } } ]\n';

/** What the pages of the console have to show besides the example: a flow that starts by time, and one whose runs wait in a queue. */
export const CONSOLE_PROJECT = [
  { path: 'workflows/nightly.yaml', text: `${HEAD('nightly')}\nschedule: { cron: '30 2 * * *' }\n${STEPS}` },
  { path: 'run-queues/narrow.yaml', text: 'name: narrow\nconcurrency: 1\n' },
  {
    path: 'workflows/queued.yaml',
    text: `${HEAD('queued', ', metadata: { aios: { queue: { name: narrow } } }')}\n${STEPS}`,
  },
];
