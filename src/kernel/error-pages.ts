import type { ErrorCode } from './error-codes.ts';

/** Where a part of AIOS is described, below `docs/`, by what its codes begin with. */
const PAGES: Readonly<Record<string, string>> = {
  access: 'access.md',
  bridges: 'bridges.md',
  budgets: 'openai.md',
  chat: 'openai.md',
  connectors: 'connectors.md',
  contracts: 'contracts.md',
  datasets: 'datasets.md',
  decisions: 'decisions.md',
  definition: '../README.md#a-project',
  events: 'events.md',
  experiments: 'training.md',
  expression: 'flows.md#expressions',
  features: 'features.md',
  ledger: 'proof.md',
  lineage: 'lineage.md',
  models: 'serving.md',
  serving: 'serving.md',
  start: 'operations.md#when-it-does-not-start',
  store: 'operations.md',
  tasks: 'tasks.md',
  training: 'training.md',
  webhooks: 'events.md#webhooks',
  workflow: 'flows.md',
};

/**
 * The page that says how things are meant to be where an error came from, below `docs/`; undefined for what needs none.
 *
 * @example errorPage('tasks.context_changed') // 'tasks.md'
 */
export function errorPage(code: ErrorCode): string | undefined {
  return PAGES[code.slice(0, code.indexOf('.'))];
}
