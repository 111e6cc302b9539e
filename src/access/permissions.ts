/** What a route can ask for; each route asks for exactly one. */
export const PERMISSIONS = [
  'definitions.read',
  'definitions.write',
  'events.read',
  'events.write',
  'events.replay',
  'webhooks.manage',
  'bridges.control',
  'dead-letters.replay',
  'quarantine.resolve',
  'features.read',
  'features.write',
  'features.control',
  'datasets.read',
  'datasets.write',
  'datasets.export',
  'models.read',
  'models.write',
  'models.promote',
  'models.load',
  'models.approve',
  'experiments.write',
  'serving.infer',
  'serving.requests',
  'runs.read',
  'runs.start',
  'runs.control',
  'runs.delete',
  'tasks.read',
  'tasks.act',
  'tasks.release',
  'tasks.assign',
  'quality.read',
  'labels.export',
  'subjects.erase',
  'audit.read',
  'audit.payload',
  'lineage.write',
  'costs.read',
  'budgets.manage',
  'keys.manage',
] as const;
type Permission = (typeof PERMISSIONS)[number];

export const ROLES = ['viewer', 'reviewer', 'lead', 'operator', 'admin', 'trainer'] as const;
export type Role = (typeof ROLES)[number];

const VIEWER: readonly Permission[] = [
  'definitions.read',
  'events.read',
  'features.read',
  'datasets.read',
  'models.read',
  'runs.read',
  'tasks.read',
  'audit.read',
  'costs.read',
];
const REVIEWER: readonly Permission[] = [...VIEWER, 'tasks.act', 'tasks.release', 'models.approve'];
const LEAD: readonly Permission[] = [...REVIEWER, 'tasks.assign', 'quality.read', 'labels.export'];
/** What is decided about people and cases, and what is known of them. */
const NOT_OPERATORS: readonly Permission[] = [
  'keys.manage',
  'runs.delete',
  'tasks.act',
  'audit.payload',
  'labels.export',
  'subjects.erase',
];
const OPERATOR: readonly Permission[] = PERMISSIONS.filter(
  (permission) => !NOT_OPERATORS.includes(permission),
);

/** What trains: it logs and registers, and gives nothing traffic. */
const TRAINER: readonly Permission[] = ['models.read', 'models.write', 'experiments.write'];

/** Roles compiled to sets: a check is one look-up. A lead answers as reviewers do and arranges their work. An operator runs the system, gives back or hands on what an absent reviewer claimed, and does not decide cases; an admin may do all. */
export const PERMISSIONS_OF: Readonly<Record<Role, ReadonlySet<string>>> = {
  viewer: new Set(VIEWER),
  reviewer: new Set(REVIEWER),
  lead: new Set(LEAD),
  operator: new Set(OPERATOR),
  admin: new Set(PERMISSIONS),
  trainer: new Set(TRAINER),
};
