/** What a route can ask for, and what it lets people do; each route asks for exactly one. `docs/access.md` has them by role. */
export const PERMITTED = {
  'definitions.read': 'see definitions, contracts with their versions, and lineage; try decision tables',
  'definitions.write': 'plan and apply projects, change single definitions, register schemas',
  'events.read':
    'search and follow events; see bridges, webhooks, replays, dead letters and quarantined events',
  'events.write': 'send events',
  'events.replay': 'replay a part of the log to a consumer group or a flow',
  'webhooks.manage': 'create, change and remove webhooks; see their secrets at creation',
  'bridges.control': 'pause, resume and restart bridges',
  'dead-letters.replay': 'replay dead letters',
  'quarantine.resolve': 'release or discard quarantined events',
  'features.read': 'query features, online and historical',
  'features.write': 'push feature rows',
  'features.control': 'materialize, back-fill, join files, save profiles',
  'datasets.read': 'see datasets and their versions, compare versions',
  'datasets.write': 'create and delete versions of datasets',
  'datasets.export': 'export the rows of a dataset',
  'models.read': 'see models, versions, cards, experiments and serving status',
  'models.write': 'register and quantize model versions',
  'models.promote': 'give a version traffic: move aliases; start, change and end rollouts',
  'models.load': 'load and unload models of this process',
  'models.approve': 'approve or refuse a promotion requested by somebody else',
  'experiments.write': 'log training runs, their metrics and files',
  'serving.infer': 'call models, including language models',
  'serving.requests': 'see sampled requests of models with their answers',
  'runs.read': 'see runs with their steps, schedules and run queues',
  'runs.start': 'start and fork runs',
  'runs.control': 'cancel, pause, resume, retry and signal runs; pause schedules and run queues',
  'runs.delete': 'delete ended runs and their journals',
  'tasks.read': 'see tasks, their history and attachments',
  'tasks.act': 'claim, answer, return, comment, delegate and amend tasks that are for the caller',
  'tasks.release': 'release a claimed task',
  'tasks.assign': 'assign tasks, change their priority',
  'quality.read': 'see how often people agree',
  'labels.export': 'export the answers of people as labels',
  'subjects.erase': 'erase the data recorded about a person',
  'audit.read': 'see audit entries without their payloads, and verify the log',
  'audit.payload': 'see the payloads of audit entries',
  'lineage.write': 'send OpenLineage events',
  'costs.read': 'see costs and budgets',
  'budgets.manage': 'set and remove budgets',
  'keys.manage': 'create, list and revoke keys, change groups, create login links',
} as const;
type Permission = keyof typeof PERMITTED;
export const PERMISSIONS = Object.keys(PERMITTED) as readonly Permission[];

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
