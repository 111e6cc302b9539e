import type { ProjectFile } from '../src/store/definition-kind.ts';

const STEPS = [1, 2, 3, 4, 5];

const call = (name: string, step: number) =>
  `  - step${step}: { call: '${name}:1@default', with: { index: "\${ input.index }", step: ${step} } }`;
const MARK = `  - mark: { call: 'mark:1@default', with: { index: "\${ workflow.input.index }" } }`;

const flow = (name: string, steps: readonly string[]): ProjectFile => ({
  path: `workflows/${name}.yaml`,
  bytes: Buffer.from(
    [
      `document: { dsl: '1.0.3', namespace: bench, name: ${name}, version: '1.0.0' }`,
      'evaluate: { language: cel }',
      'do:',
      ...steps,
      '',
    ].join('\n'),
  ),
});

/** Five effects; five pure steps (what an automation mostly does: features, inference, rules) and the effect that they decide on. */
export const FLOWS: readonly ProjectFile[] = [
  flow(
    'effects',
    STEPS.map((step) => call('effect', step)),
  ),
  flow('pure', [...STEPS.map((step) => call('pure', step)), call('effect', 6)]),
  flow(
    'work',
    STEPS.map((step) => call('work', step)),
  ),
  flow('first', [MARK]),
  flow('signal', [`  - held: { call: 'hold:1@default' }`, MARK]),
  flow('timer', ['  - nap: { wait: { seconds: 2 } }', MARK]),
];

export const TIMER_MS = 2000;

/** Five effects, and something pure before each. */
export const chaosFlow = flow(
  'chaos',
  STEPS.flatMap((step) => [
    `  - set${step}: { set: { step: ${step} } }`,
    `  - touch${step}: { call: 'touch:1@default', with: { step: ${step} } }`,
  ]),
);
