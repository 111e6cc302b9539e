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
    'See `issues`; nothing was applied. Check the address and its credentials; files of the project belong in its folder `resources/`.',
  ),
  'workflow.not_found': row(
    404,
    'There is no such workflow',
    'Apply the project that defines it; the detail names those that exist.',
  ),
  'workflow.run_not_found': row(
    404,
    'There is no such run',
    'List the runs; ids are never reused.',
    'Look for it in the page “Runs”; ids are never reused.',
  ),
  'workflow.exists': row(
    409,
    'A run with this key was already started',
    'Ask for that run: the same key always means the same run.',
  ),
  'workflow.event_passed': row(
    409,
    'The event was received before, and the run that it started in this flow no longer exists',
    'Send it with a different `id`, which makes it a new event; or replay the log into the flow: `aios events replay --workflow NAME --from TIME --yes`.',
    'Send it with another `id`, which makes it another event; or have whoever runs AIOS replay the log into the flow.',
  ),
  'workflow.fenced': again(
    409,
    'Another worker has taken over the run',
    'Get the run by its id: it continues in that worker.',
  ),
  'workflow.ended': row(409, 'The run has ended', 'Retry it from a step, fork it, or start a new run.'),
  'workflow.not_ended': row(
    409,
    'The run has not ended',
    'Cancel it first, or wait until it ends; to try something else in the meantime, fork it.',
  ),
  'workflow.bulk_not_found': row(
    404,
    'There is no such bulk operation',
    'Prepare it again: a bulk operation that is not started within an hour expires.',
    'Count the runs again: what is not started within an hour is forgotten.',
  ),
  'workflow.bulk_stale': row(
    409,
    'The bulk operation is not the one that was counted',
    'Start it with the token that was returned with the count, or count again.',
    'Count the runs again, then start it.',
  ),
  'workflow.bulk_too_large': row(
    422,
    'The filter matches more runs than one bulk operation may include',
    'Narrow the filter, by time or version, and work in parts; `limit` is the most for one operation.',
    'Narrow the filter, by time or version, and do it in parts.',
  ),
  'workflow.step_not_reached': row(
    422,
    'The run never reached this step',
    'Name the key of a step that the run shows, or leave it out for the step that failed.',
    'Choose a step that the run shows as reached.',
  ),
  'workflow.signal_refused': row(
    409,
    'The step does not accept a signal',
    'Give it what it waits for: an answer to its task in the inbox, an event sent to `POST /api/v1/events`, or the end of another run. A signal only ends a `wait`, or answers a function of the program that embeds AIOS.',
    'Answer it where its answer comes from: a task in the page “Inbox”, an event of another system, another run when it ends.',
  ),
  'workflow.not_paused': row(409, 'The run is not paused', 'Check its status first.'),
  'workflow.payload_missing': row(
    404,
    'The run refers to no such value',
    'Take the digest from the run itself (`outputRef`, `inputRef` of a step); values are deleted with the run that holds them.',
    'Open the run again to see which values it has; they go when the run that holds them is deleted.',
  ),
  'workflow.canceled': row(
    409,
    'The run was canceled',
    'Retry it from a step, or start a new run, if the work is still wanted.',
  ),
  'workflow.not_scheduled': row(
    409,
    'The flow has no schedule',
    'Give it `schedule: { every }`, `{ cron }` or `{ after }` and apply it; aios schedules, or /api/v1/schedules, lists the flows that have one.',
    'Give it `schedule: { every }`, `{ cron }` or `{ after }` and apply it; the page “Schedules” lists those that have one.',
  ),
  'workflow.script_failed': row(
    500,
    'The script or process of a step failed or was stopped',
    'The detail has its error or the limit that it reached; with `return: all` the flow receives the exit code and can handle it.',
  ),
  'workflow.too_many_steps': row(
    500,
    'The run has executed more steps than one run may',
    'Look for a `then` that goes back without end, and make it end; split a long list over several runs. A loop that is meant to go on for years starts its next round as a run of its own, or becomes a schedule. The detail names the limit, which an operator may raise.',
  ),
  'workflow.outcome_unknown': row(
    504,
    'A step was abandoned while it was calling an outside system',
    'Check the outside system for the idempotency key runId/stepKey before you repeat the step.',
  ),
  'workflow.no_event_log': row(
    501,
    'This engine has no event log to emit to',
    'Give the engine an `emit` option.',
  ),
  'tasks.unknown': row(
    404,
    'There is no such task',
    'List the open tasks: aios inbox, or /api/v1/tasks.',
    'The page “Inbox” lists the open tasks.',
  ),
  'tasks.unknown_queue': row(
    404,
    'There is no such queue',
    'Apply the project that defines it.',
    'The page “Quality” lists those that there are; or apply the project that defines it.',
  ),
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
    'Claim another one, or ask an operator to release it.',
  ),
  'tasks.not_candidate': row(
    403,
    'The task is for other roles or groups',
    'Use a key with one of the roles or groups named in the detail.',
  ),
  'tasks.not_claimed': row(
    409,
    'Nobody has claimed the task',
    'Claim it first; only a claimed task can be delegated.',
  ),
  'tasks.unknown_attachment': row(
    404,
    'The task has no such attachment',
    'List them at /api/v1/tasks/{id}/attachments.',
    'Open the task again: it shows the files that it has.',
  ),
  'tasks.media_type': row(
    415,
    'Files of this type are not accepted',
    'Send one of the types that the detail names, for example an image or a PDF.',
  ),
  'tasks.attachments_full': row(
    409,
    'The task has the maximum number of attachments',
    'Combine several files into one, or raise the limit that `limitName` names.',
    'Put several files into one, or have whoever runs AIOS raise the limit.',
  ),
  'tasks.history_full': row(
    409,
    'The task has the maximum number of comments and changes',
    'Answer it, or raise the limit that `limitName` names.',
    'Answer it, or have whoever runs AIOS raise the limit.',
  ),
  'tasks.unknown_person': row(
    404,
    'Nobody with this id can answer tasks',
    'Choose somebody listed at /api/v1/tasks/{id}/candidates.',
    'Choose one of the people whom the task offers.',
  ),
  'tasks.return_not_allowed': row(
    409,
    'Tasks of this queue cannot be sent back',
    'Answer it, or set allowReturn in the queue: the flow must then handle `returned`.',
  ),
  'tasks.no_working_time': row(
    422,
    'The calendar of the queue has too few working hours ahead',
    'Add working hours, or set a shorter time; `limitName` and `limit` say how far ahead AIOS looked.',
  ),
  'tasks.result_invalid': row(
    422,
    'The answer does not fit the form of the task',
    'See `issues`: each names a field and what was expected there.',
  ),
  'tasks.requester_missing': row(
    422,
    'An approval was requested without a requester',
    'Give the step a `requester`: the person who asked, or null if nobody did.',
  ),
  'tasks.unsafe_outcome': row(
    422,
    'The outcome at the deadline must not be one that needs a person’s decision',
    'Leave `onDeadline` out, or give an answer that the form of the queue accepts and that approves nothing.',
  ),
  'tasks.requester_excluded': row(
    403,
    'The person who requested or prepared the task may not answer it',
    'Somebody else has to answer it.',
  ),
  'tasks.one_answer_each': row(
    409,
    'Each answer to this case must come from a different person',
    'Somebody else has to give this one.',
  ),
  'tasks.not_amendable': row(
    409,
    'The data that the task shows cannot be corrected',
    'Answer it as it stands, or set `amendable: true` in the queue.',
  ),
  'tasks.context_changed': row(
    409,
    'The answer was given for something other than what the task shows now',
    'Read the task again and answer with its contextDigest.',
    'Open the task again, look at what it shows now, and answer that.',
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
    'If it should go there, the operator of AIOS adds the host to AIOS_HOSTS_OF_NAME, or to the line NAME.hosts of the secrets file; if not, correct the address or the secret in the definition.',
  ),
  'connectors.authentication_failed': row(
    401,
    'The authorization server did not issue credentials for the call',
    'The call itself was not made. Check the policy and the secrets that it names; the detail has that server’s answer.',
  ),
  'connectors.egress_refused': row(
    403,
    'The address is private and not on the list of allowed hosts',
    'If it should be called, add host:port to allowPrivate in the connector, or to AIOS_HTTP_ALLOW_PRIVATE for calls without a connector.',
  ),
  'connectors.refused': row(
    422,
    'The outside system refused the call',
    '`remoteStatus` and the detail are its answer; correct the input.',
    'The detail is its answer; correct the input.',
  ),
  'connectors.failed': again(
    502,
    'The outside system failed at every attempt',
    '`remoteStatus` and the detail are its last answer. After a 5xx the action may have been done: look it up there, or try again later with the same idempotency key.',
    'The detail is its last answer. It may have been done: look it up there, or try again later.',
  ),
  'connectors.unreachable': again(
    503,
    'The outside system cannot be reached',
    'Nothing was sent: try again, and check the address.',
  ),
  'connectors.outcome_unknown': again(
    504,
    'The call was sent but no answer came: the action may have been done',
    'Look it up in the outside system, or send it again with the same idempotency key if that system honours it.',
  ),
  'connectors.unavailable': again(
    503,
    'The outside system failed so often that calls to it are paused',
    'Try again later: single test calls find out whether it works again.',
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
