import { again, type ErrorRow, row } from './error-row.ts';

/** Errors of the event log, its consumers and what leaves it. */
export const EVENT_ERRORS = {
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
  'events.time_in_future': row(
    422,
    'The time of the event is too far in the future',
    'Check the unit of `time` (seconds taken for milliseconds) and the producer’s clock, or leave `time` out: the time of arrival is then used. `limitName` and `limit` name the limit.',
  ),
  'events.unknown_dead_letter': row(
    404,
    'There is no such open dead letter',
    'List the open ones: the page “Events” of the console, or /api/v1/dead-letters.',
    'The page “Events” lists the open ones.',
  ),
  'events.unknown_consumer': row(
    404,
    'There is no such consumer group, or it does not accept replays',
    'The detail names those that do. To rebuild features, apply a new version of their view; to start runs again, replay into their flow.',
  ),
  'events.unknown_replay': row(
    404,
    'There is no such replay',
    'List them: aios events replays, or /api/v1/events/replays.',
    'The console shows no replays: whoever runs AIOS can list them.',
  ),
  'events.position_invalid': row(
    400,
    'The range of the log is not valid',
    'Give a time or one offset for each partition, the start before the end; leave them out for the whole log.',
  ),
  'webhooks.unknown': row(
    404,
    'There is no such webhook, or no such delivery of it',
    'List them: aios webhooks, or /api/v1/webhooks.',
    'The page “Events” lists them under “Webhooks”.',
  ),
  'webhooks.invalid': row(
    400,
    'The webhook is not valid',
    'See the detail: a webhook needs an http or https address, and a secret of whsec_ followed by 24 to 64 bytes in base64.',
  ),
  'bridges.file_invalid': row(
    422,
    'A file cannot be read',
    'It was moved to `failed/` in its folder, with the reason in a file beside it. Correct it and put it into the folder again.',
  ),
  'bridges.file_changed': row(
    409,
    'A file was changed while a bridge read it',
    'The bridge reads it again as it is now, so rows that it had read come again. Write files under another name and rename them when they are whole, or set `settleSeconds` longer than any pause of their writer.',
  ),
  'bridges.unknown': row(
    404,
    'There is no such bridge',
    'List them (aios bridges, or /api/v1/bridges); apply a project with it in `bridges/`.',
    'The page “Events” lists them under “Bridges”; apply a project with it in `bridges/`.',
  ),
  'bridges.paused_by_definition': row(
    409,
    'The definition of the bridge says that it is paused',
    'Apply the definition with `paused: false`.',
  ),
  'bridges.place_not_here': row(
    409,
    'AIOS does not keep the position of this bridge',
    'For AMQP and MQTT the broker keeps the position of a source: have it deliver the messages again. To make a sink send earlier events, define a bridge with another name and `start: earliest`.',
  ),
  'bridges.place_ahead': row(
    409,
    'The position of the bridge on the other side is ahead of the log',
    'Most likely the database was restored from a backup. `aios bridges <name> --reset` lets the bridge continue without that position, from that of its consumer group: events sent after the backup may be sent again.',
    'The database was set back, most likely to a backup. “Begin anew” lets the bridge go on without that place, from where its consumer group stands: what was sent after the backup may come again.',
  ),
  'bridges.message_invalid': row(
    422,
    'The message is not an event',
    'Give the bridge `events`: expressions that turn a message into an event. Then replay its dead letters.',
  ),
  'bridges.message_refused': row(
    422,
    'The broker refuses the message',
    'See the detail: most often the message is too large. The event becomes a dead letter of the bridge; the others are sent.',
  ),
  'bridges.value_invalid': row(
    422,
    'The value of the message cannot be decoded with its schema',
    'See the detail: the registry does not have the schema id, or the bytes are not a value of that schema. Once the registry has it, or the bridge names the right registry, replay the dead letters.',
  ),
  'bridges.value_unfit': row(
    422,
    'The data of the event is not a value of the schema',
    'See the detail for the field and what was expected. Register a version that accepts it and replay the dead letter, or exclude such events with `types` and `filter`.',
  ),
  'bridges.schema_missing': row(
    422,
    'The registry has no schema for the bridge',
    'See the detail: register an Avro or JSON schema for the subject, or name another subject in `schemas.subject`. The bridge tries again by itself.',
  ),
  'bridges.schema_refused': row(
    422,
    'The registry refuses the schema of a contract',
    'See the detail: most often it is not compatible with the versions that the subject has there, or another contract uses the same subject (`schemas.subjectStrategy`). The bridge tries again by itself.',
  ),
  'bridges.registry_unreachable': again(
    502,
    'No schema registry answers at the address',
    'Check its address in `schemas.registry` and whether it is running; the bridge tries again by itself, and nothing is lost in the meantime.',
  ),
  'bridges.registry_refused': row(
    502,
    'The schema registry refuses the bridge',
    'Check the credentials in `schemas.registry` and what they may read. The bridge tries again by itself.',
  ),
  'bridges.stopped': row(
    422,
    'The bridge has stopped at a message that it cannot accept',
    'Correct the definition or the contract: the bridge tries the message again by itself. Or let such messages become dead letters: `errors: { tolerance: all }`.',
  ),
  'bridges.dead_letters_full': row(
    422,
    'The bridge has stopped: it has too many dead letters',
    'Find out what is wrong with them, then replay or dismiss them: the bridge continues by itself. The maximum is `errors.deadLettersMax` of the bridge, or bridgeDeadLettersMax.',
  ),
  'bridges.unreachable': again(
    502,
    'The broker does not answer',
    'Check its address and whether it is running; the bridge tries again by itself.',
  ),
  'bridges.refused': row(
    502,
    'The broker refuses the bridge',
    'See the detail. Where it is about rights, check the credentials and what they may read and write there. The bridge tries again by itself.',
  ),
  'bridges.certificate_refused': row(
    502,
    'The certificate of the broker is not valid',
    'See the detail: add its certificate authority to AIOS_CA_FILE, connect by a host name that the certificate covers, or renew it. The bridge tries again by itself.',
  ),
  'bridges.client_certificate_invalid': row(
    422,
    'The client certificate of the bridge cannot be used',
    'See the detail: `certificate` and `key` of `tls` must be PEM, belong together and not be expired. Correct the secrets, then restart the bridge.',
  ),
  'bridges.client_certificate_refused': row(
    502,
    'The broker does not accept the client certificate of the bridge',
    'Make the broker trust its certificate authority, or give the bridge a client certificate in `tls` that the broker accepts and that has not expired. The bridge tries again by itself.',
  ),
  'bridges.client_certificate_required': row(
    502,
    'The broker requires a client certificate',
    'Give the bridge one: `tls: { certificate: …, key: "${secrets.NAME}" }`. The bridge tries again by itself.',
  ),
  'bridges.failed': again(502, 'The broker failed', 'See the detail; the bridge tries again by itself.'),
  'bridges.gap': row(
    410,
    'The other side has dropped messages before they were read',
    'Those messages are lost to AIOS; the bridge continued from the oldest message still there. Have the other side keep messages longer, or read them sooner.',
  ),
} as const satisfies Record<string, ErrorRow>;
