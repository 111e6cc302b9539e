/** One row of the error table: the HTTP status, whether the same call may succeed later, and the way forward. */
export interface ErrorRow {
  readonly status: number;
  readonly retryable: boolean;
  readonly title: string;
  readonly hint: string;
}

const row = (status: number, title: string, hint: string, retryable = false): ErrorRow => ({
  status,
  retryable,
  title,
  hint,
});
const again = (status: number, title: string, hint: string): ErrorRow => row(status, title, hint, true);

/**
 * Every code that AIOS answers with, `module.reason`. Closed: a code that is not here does not compile, a code that
 * nothing throws or that `docs/errors.md` does not explain fails a test. Codes are stable: callers match on them.
 */
export const ERRORS = {
  internal: again(
    500,
    'Something failed that AIOS did not foresee',
    'Try again; if it persists, report it with the trace id in the log.',
  ),

  'request.malformed': row(
    400,
    'The body is not valid JSON',
    'Send UTF-8 JSON; the detail says where parsing stopped.',
  ),
  'request.invalid': row(
    400,
    'The request does not fit its schema',
    'See `issues`: each names a path and what was expected there.',
  ),
  'request.too_large': row(
    413,
    'The body is over the limit',
    'Send less; `limitName` and `limit` name the limit.',
  ),
  'request.media_type': row(
    415,
    'The content type is not supported here',
    'Send one of the types named in the detail.',
  ),
  'request.not_found': row(
    404,
    'There is nothing at this address',
    'See /api/v1/openapi.json for the routes.',
  ),
  'request.timeout': again(
    504,
    'No answer came within the time asked for',
    'Ask again, or ask for the run by its id.',
  ),
  'request.overloaded': again(
    429,
    'More is waiting than the limit allows',
    'Wait for Retry-After seconds, then send again.',
  ),

  'definition.syntax': row(
    400,
    'The document is not valid YAML or JSON',
    'See `issues` for file, line and column.',
  ),
  'definition.invalid': row(
    400,
    'The definition does not fit its schema',
    'See `issues`: each names file, line, path and what was expected.',
  ),
  'definition.unknown_kind': row(
    400,
    'There is no such kind of definition',
    'Use one of the kinds named in the detail.',
  ),
  'definition.not_found': row(
    404,
    'There is no such definition',
    'List what exists, or apply the project that defines it.',
  ),
  'definition.duration': row(
    400,
    'The text is not a duration',
    'Write 90d, 30s, or ISO 8601 without years and months, such as PT30S.',
  ),
  'definition.reference': row(
    400,
    'The definition names something that does not exist',
    'Define what it names, in this project or before it.',
  ),

  'expression.syntax': row(
    400,
    'The expression does not parse',
    'See `detail` for the place; expressions are CEL.',
  ),
  'expression.failed': row(
    422,
    'The expression failed on this value',
    'Guard missing fields with has(a.b) or a.?b.orValue(0).',
  ),

  'store.unavailable': again(
    503,
    'The database does not answer',
    'It is retried; see the log for the cause.',
  ),
  'store.refused_value': row(
    422,
    'The database refused a value',
    'The detail names the value; NUL characters in text are the usual cause.',
  ),
  'store.in_use': row(
    409,
    'Another AIOS uses this data folder',
    'Stop it, or give this one a folder of its own with AIOS_DATA_DIR.',
  ),
  'store.conflict': again(409, 'Another change came first', 'Read the current state and try again.'),

  'workflow.unsupported': row(
    400,
    'The definition uses a part of the workflow language that AIOS does not run',
    'See `issues`: each says what to write instead.',
  ),
  'workflow.not_found': row(
    404,
    'There is no such workflow',
    'Apply the project that defines it; the detail names those that exist.',
  ),
  'workflow.run_not_found': row(404, 'There is no such run', 'List the runs; an id is never used twice.'),
  'workflow.exists': row(
    409,
    'A run with this key was started before',
    'Ask for that run: the same key is the same run.',
  ),
  'workflow.fenced': again(
    409,
    'Another worker has taken the run over',
    'Ask for the run by its id: it goes on there.',
  ),
  'workflow.ended': row(409, 'The run has ended', 'Start a new run; what has ended is never changed.'),
  'workflow.not_paused': row(409, 'The run is not paused', 'Look at its status first.'),
  'workflow.canceled': row(409, 'The run was canceled', 'Start a new run if the work is still wanted.'),
  'workflow.outcome_unknown': row(
    504,
    'A step was given up while it was acting on the world',
    'Look at the other system, by the idempotency key runId/stepKey, before you repeat it.',
  ),
  'workflow.no_event_log': row(
    501,
    'This engine has no event log to emit to',
    'Give the engine an `emit` option.',
  ),

  'access.unauthenticated': row(
    401,
    'No valid key or session',
    'Send Authorization: Bearer aios_…; `aios start` prints where the admin key is.',
  ),
  'access.unknown_key': row(404, 'There is no such key', 'List the keys at /api/v1/keys.'),
  'access.key_format': row(
    400,
    'The key does not have the form of one',
    'Let AIOS make one: leave AIOS_ADMIN_KEY out at the first start.',
  ),
  'access.foreign_host': row(
    421,
    'The Host header names another server',
    'Use the address that AIOS printed, or add the name to AIOS_HOSTS.',
  ),
  'access.foreign_origin': row(
    403,
    'The request comes from another site',
    'Use the console itself, or an API key.',
  ),
  'access.forbidden': row(
    403,
    'The key lacks the permission',
    'Use a key with a role that has the permission named in the detail.',
  ),

  'models.unknown_model': row(
    404,
    'There is no such model',
    'Register a version first, or apply the project that holds it.',
  ),
  'models.unknown_version': row(
    404,
    'The model has no such version or alias',
    'List the versions and aliases at /api/v1/models/{name}.',
  ),
  'models.invalid': row(
    400,
    'The registration does not fit',
    'See `issues` or the detail for what was expected.',
  ),
  'models.not_onnx': row(
    422,
    'The bytes are no ONNX model that can be loaded',
    'Export the model again; the detail is what ONNX Runtime said.',
  ),
  'models.not_runnable': row(
    422,
    'The model loads but fails its warm-up',
    'Check that it runs one row of zeros; the detail is what the runtime said.',
  ),
  'models.signature_mismatch': row(
    422,
    'The declared signature is not that of the model',
    'See `issues`: declare what the file has, or leave inputs and outputs out to take its own.',
  ),

  'serving.unknown_input': row(400, 'The model has no such input', 'Use the names at /v2/models/{name}.'),
  'serving.missing_input': row(
    400,
    'An input of the model is missing',
    'Send each input named at /v2/models/{name} once.',
  ),
  'serving.unknown_output': row(
    400,
    'The model has no such output',
    'Ask for outputs named at /v2/models/{name}, or for none to get all.',
  ),
  'serving.tensor_type': row(
    400,
    'The tensor has another datatype than the model',
    'Send the datatype at /v2/models/{name}.',
  ),
  'serving.tensor_shape': row(
    400,
    'The tensor does not have the shape that it should',
    'The detail names both shapes; -1 stands for any size.',
  ),
  'serving.tensor_value': row(
    400,
    'An element is no value of its datatype',
    'The detail names the input and the element.',
  ),
  'serving.feature_invalid': row(
    422,
    'A feature of the model is absent or no number',
    'Supply it, or give the signature a fill for it; see `issues`.',
  ),
  'serving.no_features': row(
    422,
    'The signature names no features',
    'Add features (the columns of the one FP32 or FP64 input) to the signature, or send tensors.',
  ),
  'serving.model_failed': row(
    422,
    'The model failed on these values',
    'The detail is what the runtime said; check the values and shapes.',
  ),
  'serving.timeout': again(
    504,
    'The model did not answer in time',
    'Try again; if it persists, raise timeoutMs or replicas in the model definition.',
  ),
  'serving.canceled': again(
    499,
    'The caller gave up the inference',
    'Send it again if the answer is still wanted.',
  ),
  'serving.replica_lost': again(
    503,
    'The process that ran the model ended under the request, twice',
    'Try again; if it persists, the input or the memory of the machine is the cause.',
  ),
  'serving.unavailable': again(
    503,
    'No replica of the model can be started',
    'See the detail; starting is tried again by itself.',
  ),

  'decisions.unknown': row(404, 'There is no such decision', 'Apply the project that defines it.'),
  'decisions.input_invalid': row(
    422,
    'The input does not fit the inputs of the decision',
    'See `issues`: each names an input, what was found and what was expected.',
  ),
  'decisions.output_invalid': row(
    422,
    'The rule gave an output that the decision does not declare',
    'See `issues`; correct the rule or the declared outputs.',
  ),
  'decisions.ambiguous': row(
    422,
    'More than one rule fits where one may',
    'Make the named rules exclusive, or use the hit policy first or priority.',
  ),
  'decisions.no_rule': row(
    422,
    'No rule fits and there is no default',
    'Add a default, or a rule for this input.',
  ),
  'decisions.test_failed': row(
    400,
    'A test of the decision failed',
    'See `issues`: correct the rules or what the test expects.',
  ),

  'events.invalid': row(
    422,
    'The event is not a CloudEvent 1.0',
    'See `issues`: each names an attribute and what was expected.',
  ),
  'events.payload_too_large': row(
    413,
    'The event is over the limit',
    'Send a reference to the data instead; `limitName` and `limit` name the limit.',
  ),
  'events.unknown_dead_letter': row(
    404,
    'There is no such open dead letter',
    'List the open ones at /api/v1/dead-letters.',
  ),

  'features.unknown_service': row(
    404,
    'There is no such feature service',
    'Apply the project that defines it.',
  ),
  'features.building': again(
    503,
    'A feature view is still being built from the log',
    'Try again in a moment; the build goes on by itself.',
  ),
  'features.missing_key': row(
    422,
    'A join key is missing',
    'Give a value (or null) for every join key of the views of the service.',
  ),

  'ledger.entry_too_large': row(
    413,
    'The audit entry is over the limit of the log format',
    'Shorten what names the object; the payload itself lies outside the entry.',
  ),
  'ledger.not_found': row(
    404,
    'The audit log has no such entry, tile or proof',
    'Ask for the checkpoint first: it says how many entries there are.',
  ),
  'ledger.master_key': row(
    500,
    'The master key of the ledger is not valid',
    'Restore ledger-master.key in the data folder from its backup.',
  ),

  'contracts.unknown_type': row(
    422,
    'No contract covers this type of event',
    'Apply a contract for the type first; the detail names it.',
  ),
  'contracts.unknown_version': row(
    422,
    'The contract has no such version',
    'Leave dataversion out for the newest, or name one that the detail lists.',
  ),
  'contracts.data_invalid': row(
    422,
    'The data does not fit the contract',
    'See `issues`: each names a path, what was found and what was expected.',
  ),
  'contracts.incompatible': row(
    409,
    'The new version breaks the compatibility that the contract promises',
    'See `issues`; the detail suggests a version, or weaken `compatibility`.',
  ),

  'tasks.unknown': row(404, 'There is no such task', 'List what waits at /api/v1/tasks.'),
  'tasks.unknown_queue': row(404, 'There is no such queue', 'Apply the project that defines it.'),
  'tasks.too_large': row(
    422,
    'What the task shows is over the limit',
    'Show less, or a link to it; `limitName` and `limit` name the limit.',
  ),
  'tasks.not_open': row(
    409,
    'The task no longer waits for an answer',
    'Read it again: it was answered, canceled, or its deadline has passed.',
  ),
  'tasks.claimed_by_other': row(
    409,
    'Somebody else has claimed the task',
    'Take another, or ask an operator to release it.',
  ),
  'tasks.not_candidate': row(
    403,
    'The queue is for other roles',
    'Use a key with one of the roles named in the detail.',
  ),
  'tasks.result_invalid': row(
    422,
    'The answer does not fit the form of the task',
    'See `issues`: each names a field and what was expected there.',
  ),
  'tasks.context_changed': row(
    409,
    'The answer is bound to something else than what the task shows',
    'Read the task again and answer with its contextDigest.',
  ),

  'connectors.unknown': row(404, 'There is no such connector', 'Apply the project that defines it.'),
  'connectors.unknown_operation': row(
    404,
    'The connector has no such operation',
    'Use one of the operations named in the detail.',
  ),
  'connectors.input_invalid': row(
    422,
    'The input does not fit the operation',
    'See `issues`: each names a member of the input and what was expected there.',
  ),
  'connectors.variable_unset': row(
    422,
    'A variable of the connector is not set, or is no address',
    'Set the environment variable named in the detail, or put the secret into the secrets file.',
  ),
  'connectors.egress_refused': row(
    403,
    'The address is private and not allowed by name',
    'If it is meant, add host:port to allowPrivate in the connector.',
  ),
  'connectors.refused': row(
    422,
    'The outside system refused the call',
    '`remoteStatus` and the detail are its answer; correct the input.',
  ),
  'connectors.failed': again(
    502,
    'The outside system failed at every attempt',
    'Try again later; `remoteStatus` and the detail are its last answer.',
  ),
  'connectors.unreachable': again(
    503,
    'The outside system cannot be reached',
    'Nothing was sent: try again, and check the address.',
  ),
  'connectors.outcome_unknown': again(
    504,
    'The call was sent and no answer came: it may have been done',
    'Look it up in the outside system, or send it again with the same idempotency key if that system honours it.',
  ),
  'connectors.unavailable': again(
    503,
    'The outside system failed so often that calls to it pause',
    'Try again later: one call at a time finds out whether it is back.',
  ),
  'connectors.overloaded': again(
    429,
    'Too many calls wait for the outside system',
    'Try again later, or raise concurrencyMax in the connector.',
  ),
  'connectors.canceled': again(
    499,
    'The call was given up before it was sent',
    'Make it again if it is still wanted.',
  ),
  'connectors.response_invalid': row(
    502,
    'The answer of the outside system cannot be read',
    'The action may have been done; correct the mapping of the response.',
  ),
  'connectors.response_too_large': row(
    502,
    'The answer of the outside system is over the limit',
    'The action may have been done; `limitName` and `limit` name the limit.',
  ),
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERRORS;
