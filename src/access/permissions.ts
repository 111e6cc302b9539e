/** What a route can ask for, and what it lets people do; each route asks for exactly one. `docs/access.md` has them by role. */
export const PERMITTED = {
  'definitions.read': 'see definitions, contracts and their versions, lineage of them; try a decision table',
  'definitions.write': 'plan and apply projects, put single definitions, register schemas',
  'events.read':
    'search and follow events; see bridges, webhooks, replays, dead letters and what is in quarantine',
  'events.write': 'send events',
  'events.replay': 'give a part of the log to a group or a flow again',
  'webhooks.manage': 'make, change and remove webhooks, see their secrets when they are made',
  'bridges.control': 'pause, resume and restart bridges',
  'dead-letters.replay': 'hand dead letters over again',
  'quarantine.resolve': 'release or discard what a contract keeps apart',
  'features.read': 'ask for features, online and in the past',
  'features.write': 'push rows of features',
  'features.control': 'materialize, back-fill, join files, make profiles',
  'datasets.read': 'see datasets, their versions and how they differ',
  'datasets.write': 'make and delete versions of datasets',
  'datasets.export': 'take the rows of a dataset out',
  'models.read': 'see models, versions, cards, experiments and what is served',
  'models.write': 'register versions of models, quantize them',
  'models.promote': 'give a version traffic: move aliases, begin, change and end rollouts',
  'models.load': 'load and unload models of this process',
  'models.approve': 'approve or refuse a promotion that somebody else asked for',
  'experiments.write': 'log training runs, their metrics and files',
  'serving.infer': 'ask models, language models among them',
  'serving.requests': 'see the sample of what a model was asked and answered',
  'runs.read': 'see runs, their steps, schedules and queues of runs',
  'runs.start': 'start and fork runs',
  'runs.control': 'cancel, pause, resume, retry and signal runs; pause schedules and queues of runs',
  'runs.delete': 'delete ended runs and their journals',
  'tasks.read': 'see tasks, their history and attachments',
  'tasks.act': 'claim, answer, return, comment, delegate and amend tasks that are for the caller',
  'tasks.release': 'give a claimed task back',
  'tasks.assign': 'put tasks into hands, change their priority',
  'quality.read': 'see how far people agree',
  'labels.export': 'take the answers of people out as labels',
  'subjects.erase': 'erase what is recorded of a person',
  'audit.read': 'see audit entries without their payloads, and verify the log',
  'audit.payload': 'see the payloads of audit entries',
  'lineage.write': 'send OpenLineage events',
  'costs.read': 'see costs and budgets',
  'budgets.manage': 'set and end budgets',
  'keys.manage': 'make, list and revoke keys, change groups, make login links',
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
