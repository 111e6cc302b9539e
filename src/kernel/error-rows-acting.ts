import { again, type ErrorRow, row } from './error-row.ts';

/** Errors of people, outside systems and flows. */
export const ACTING_ERRORS = {
  'workflow.unsupported': row(
    400,
    'The definition uses a part of the workflow language that AIOS does not run',
    'See `issues`: each says what to write instead.',
  ),
  'workflow.resource_unavailable': again(
    502,
    'A resource outside the definition cannot be read',
    'Nothing was applied. See `issues`: check the address and its credentials; a file of the project lies in its folder `resources/`.',
  ),
  'workflow.not_found': row(
    404,
    'There is no such workflow',
    'Apply the project that defines it; the detail names those that exist.',
  ),
  'workflow.run_not_found': row(404, 'There is no such run', 'List the runs; ids are never reused.'),
  'workflow.exists': row(
    409,
    'A run with this key was started before',
    'Ask for that run: the same key always means the same run.',
  ),
  'workflow.event_passed': row(
    409,
    'The event was received before, and no run that it started in this flow is still there',
    'Send it with another `id`, which makes it another event; or replay the log into the flow: `aios events replay --workflow NAME --from TIME --yes`.',
  ),
  'workflow.fenced': again(
    409,
    'Another worker has taken the run over',
    'Ask for the run by its id: it goes on in that worker.',
  ),
  'workflow.ended': row(409, 'The run has ended', 'Retry it from a step, fork it, or start a new run.'),
  'workflow.not_ended': row(
    409,
    'The run has not ended',
    'Cancel it first, or wait for its end; to try something else meanwhile, fork it.',
  ),
  'workflow.bulk_not_found': row(
    404,
    'There is no such bulk operation',
    'Prepare it again: one that is not started within an hour is forgotten.',
  ),
  'workflow.bulk_stale': row(
    409,
    'The bulk operation is not the one that was counted',
    'Start it with the token that its count came with, or count again.',
  ),
  'workflow.bulk_too_large': row(
    422,
    'More runs fit the filter than one bulk operation takes',
    'Narrow the filter, by time or version, and do it in parts; `limit` is how many one takes.',
  ),
  'workflow.step_not_reached': row(
    422,
    'The run never reached this step',
    'Name the key of a step that the run shows, or leave it out to mean the step that failed.',
  ),
  'workflow.signal_refused': row(
    409,
    'The step takes no signal',
    'Answer it where its answer comes from: a task in the inbox, an event by `POST /api/v1/events`, another run when it ends. A signal ends a `wait`, or answers a function of the program that embeds AIOS.',
  ),
  'workflow.not_paused': row(409, 'The run is not paused', 'Look at its status first.'),
  'workflow.payload_missing': row(
    404,
    'The run refers to no such value',
    'Take the digest from the run itself (`outputRef`, `inputRef` of a step); values go when the run that holds them is deleted.',
  ),
  'workflow.canceled': row(
    409,
    'The run was canceled',
    'Retry it from a step, or start a new run, if the work is still wanted.',
  ),
  'workflow.not_scheduled': row(
    409,
    'The flow has no schedule by time',
    'Give it `schedule: { every }`, `{ cron }` or `{ after }` and apply it; aios schedules, or /api/v1/schedules, lists those that have one.',
  ),
  'workflow.script_failed': row(
    500,
    'The script or process of a step failed or was stopped',
    'The detail has its error or the limit that it hit; with `return: all` the flow gets the exit code and decides itself.',
  ),
  'workflow.outcome_unknown': row(
    504,
    'A step was abandoned while it was calling an outside system',
    'Check in the outside system, by the idempotency key runId/stepKey, before you repeat it.',
  ),
  'workflow.no_event_log': row(
    501,
    'This engine has no event log to emit to',
    'Give the engine an `emit` option.',
  ),
  'tasks.unknown': row(404, 'There is no such task', 'List what waits: aios inbox, or /api/v1/tasks.'),
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
    'The task is for other roles or groups',
    'Use a key with one of the roles or groups named in the detail.',
  ),
  'tasks.not_claimed': row(
    409,
    'Nobody has claimed the task',
    'Claim it first; only a claimed task can be handed on.',
  ),
  'tasks.unknown_attachment': row(
    404,
    'The task has no such attachment',
    'List them at /api/v1/tasks/{id}/attachments.',
  ),
  'tasks.media_type': row(
    415,
    'Files of this type are not accepted',
    'Send one of the types that the detail names, a picture or a PDF of it for example.',
  ),
  'tasks.attachments_full': row(
    409,
    'The task has as many attachments as are allowed',
    'Put several files into one, or raise the limit that `limitName` names.',
  ),
  'tasks.history_full': row(
    409,
    'The task has as many comments and changes as are allowed',
    'Answer it, or raise the limit that `limitName` names.',
  ),
  'tasks.unknown_person': row(
    404,
    'Nobody with this id answers tasks',
    'Choose one of /api/v1/tasks/{id}/candidates.',
  ),
  'tasks.return_not_allowed': row(
    409,
    'Tasks of this queue are answered, not sent back',
    'Answer it, or set allowReturn in the queue: its flow must then act on `returned`.',
  ),
  'tasks.no_working_time': row(
    422,
    'The calendar of the queue has too few working hours ahead',
    'Give it hours, or name a shorter time; `limitName` and `limit` name how far ahead AIOS looked.',
  ),
  'tasks.result_invalid': row(
    422,
    'The answer does not fit the form of the task',
    'See `issues`: each names a field and what was expected there.',
  ),
  'tasks.requester_missing': row(
    422,
    'An approval was asked for without saying who asked',
    'Give the step a `requester`: the person who asked, or null when nobody did.',
  ),
  'tasks.unsafe_outcome': row(
    422,
    'The outcome at the deadline may not be decided without a person',
    'Leave `onDeadline` out, or give an answer that the form of the queue accepts and that approves nothing.',
  ),
  'tasks.requester_excluded': row(
    403,
    'Whoever asked for the task or prepared it may not answer it',
    'Leave it to somebody else.',
  ),
  'tasks.one_answer_each': row(
    409,
    'Each answer to this case has to come from a different person',
    'Leave this one to somebody else.',
  ),
  'tasks.not_amendable': row(
    409,
    'What the task shows may not be corrected',
    'Answer it as it stands, or set `amendable: true` in the queue.',
  ),
  'tasks.context_changed': row(
    409,
    'The answer was given for something other than what the task shows now',
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
    'A variable of the connector is not set, or is not an address',
    'Set the environment variable named in the detail, or put the secret into the secrets file.',
  ),
  'connectors.secret_refused': row(
    403,
    'The secret may not be sent there',
    'If it is meant, whoever runs AIOS adds the host to AIOS_HOSTS_OF_NAME, or to the line NAME.hosts of the secrets file; if not, the definition names the wrong address or secret.',
  ),
  'connectors.authentication_failed': row(
    401,
    'The authorization server gave no credentials for the call',
    'The call itself was not made. Check the policy and the secrets that it names; the detail has that server’s answer.',
  ),
  'connectors.egress_refused': row(
    403,
    'The address is private and not allowed by name',
    'If it is meant, add host:port to allowPrivate in the connector, or to AIOS_HTTP_ALLOW_PRIVATE for calls that a flow writes out.',
  ),
  'connectors.refused': row(
    422,
    'The outside system refused the call',
    '`remoteStatus` and the detail are its answer; correct the input.',
  ),
  'connectors.failed': again(
    502,
    'The outside system failed at every attempt',
    '`remoteStatus` and the detail are its last answer. After a 5xx it may have been done: look it up, or try again later under the same idempotency key.',
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
    'The outside system failed so often that calls to it are paused',
    'Try again later: one call at a time finds out whether it is back.',
  ),
  'connectors.overloaded': again(
    429,
    'Too many calls are waiting for the outside system',
    'Try again later, or raise concurrencyMax in the connector.',
  ),
  'connectors.canceled': again(
    499,
    'The call was canceled before it was sent',
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
