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
    'The time of the event lies in the future',
    'Look at the unit of `time` (seconds taken for milliseconds) and at the producer’s clock, or leave `time` out: then it is that of arrival. `limitName` and `limit` name the limit.',
  ),
  'events.unknown_dead_letter': row(
    404,
    'There is no such open dead letter',
    'List the open ones: the page “Events” of the console, or /api/v1/dead-letters.',
  ),
  'events.unknown_consumer': row(
    404,
    'There is no such consumer group, or none that may be given events again',
    'The detail names those that may. Features are built anew by a new version of their view, runs by a replay into their flow.',
  ),
  'events.unknown_replay': row(
    404,
    'There is no such replay',
    'List them: aios events replays, or /api/v1/events/replays.',
  ),
  'events.position_invalid': row(
    400,
    'The range of the log is not valid',
    'Give a time or one offset for each partition, the beginning before the end; leave them out for all of the log.',
  ),
  'webhooks.unknown': row(
    404,
    'There is no such webhook, or no such delivery of it',
    'List them: aios webhooks, or /api/v1/webhooks.',
  ),
  'webhooks.invalid': row(
    400,
    'The webhook is not valid',
    'See the detail: a webhook needs an address of http or https, and a secret of whsec_ followed by 24 to 64 bytes in base64.',
  ),
  'bridges.file_invalid': row(
    422,
    'A file cannot be read',
    'It is in `failed/` of its folder, with the reason beside it. Correct it and put it into the folder again.',
  ),
  'bridges.unknown': row(
    404,
    'There is no such bridge',
    'List them (aios bridges, or /api/v1/bridges); apply a project with it in `bridges/`.',
  ),
  'bridges.paused_by_definition': row(
    409,
    'The definition of the bridge says that it is paused',
    'Apply the definition with `paused: false`.',
  ),
  'bridges.place_not_here': row(
    409,
    'The place of the bridge is not kept here',
    'For AMQP and MQTT the broker keeps the place of a source: have it deliver the messages again. To make a sink send earlier events, define a bridge of another name with `start: earliest`.',
  ),
  'bridges.place_ahead': row(
    409,
    'The place of the bridge on the other side is ahead of the log',
    'The database was set back, most likely to a backup. `aios bridges <name> --reset` lets the bridge go on without that place, from where its consumer group stands: what was sent after the backup may come again.',
  ),
  'bridges.message_invalid': row(
    422,
    'The message is not an event',
    'Give the bridge `events`: expressions that make an event from a message. Then replay its dead letters.',
  ),
  'bridges.message_refused': row(
    422,
    'The broker refuses the message',
    'See the detail: most often the message is too large. The event is a dead letter of the bridge; the others go on.',
  ),
  'bridges.value_invalid': row(
    422,
    'The value of the message cannot be read by its schema',
    'See the detail: the registry does not have the id, or the bytes are not a value of that schema. When the registry has it, or the bridge names the right one, replay the dead letters.',
  ),
  'bridges.value_unfit': row(
    422,
    'The data of the event is not a value of the schema',
    'See the detail for the member and what was expected of it. Register a version that takes it and replay the dead letter, or let `types` and `filter` leave such events out.',
  ),
  'bridges.schema_missing': row(
    422,
    'The registry has no schema for the bridge',
    'See the detail: register a schema of Avro or JSON for the subject, or name another one in `schemas.subject`. The bridge tries again by itself.',
  ),
  'bridges.schema_refused': row(
    422,
    'The registry refuses the schema of a contract',
    'See the detail: most often it is not compatible with the versions that the subject has there, or another contract uses the same subject (`schemas.subjectStrategy`). The bridge tries again by itself.',
  ),
  'bridges.registry_unreachable': again(
    502,
    'Nothing answers as a schema registry at the address',
    'Look at its address in `schemas.registry` and whether it runs; the bridge tries again by itself, and nothing is lost meanwhile.',
  ),
  'bridges.registry_refused': row(
    502,
    'The schema registry refuses the bridge',
    'Look at the credentials in `schemas.registry`, and at what they may read. The bridge tries again by itself.',
  ),
  'bridges.stopped': row(
    422,
    'The bridge has stopped at a message that it cannot accept',
    'Correct the definition or the contract: the bridge tries the message again by itself. Or let it put such messages aside: `errors: { tolerance: all }`.',
  ),
  'bridges.dead_letters_full': row(
    422,
    'The bridge has stopped: too many of its messages were put aside',
    'Find out what is wrong with them, then replay or dismiss its dead letters: the bridge goes on by itself. `limit` is the bound, `errors.deadLettersMax` of the bridge or bridgeDeadLettersMax.',
  ),
  'bridges.unreachable': again(
    502,
    'The broker does not answer',
    'Look at its address and whether it runs; the bridge tries again by itself.',
  ),
  'bridges.refused': row(
    502,
    'The broker refuses the bridge',
    'Look at the credentials, and at what they may read and write there. The bridge tries again by itself.',
  ),
  'bridges.certificate_refused': row(
    502,
    'The certificate of the broker is not valid',
    'See the detail: name its authority in AIOS_CA_FILE, reach it by a name that the certificate is for, or renew it. The bridge tries again by itself.',
  ),
  'bridges.client_certificate_invalid': row(
    422,
    'The certificate of the bridge cannot be used',
    'See the detail: `certificate` and `key` of `tls` are PEM, belong together, and have not expired. Correct the secrets, then restart the bridge.',
  ),
  'bridges.client_certificate_refused': row(
    502,
    'The broker does not accept the certificate of the bridge',
    'Let the broker trust its authority, or give the bridge a certificate that the broker accepts: one for clients that has not expired. If it has none, give it one in `tls`. The bridge tries again by itself.',
  ),
  'bridges.client_certificate_required': row(
    502,
    'The broker asks for a certificate',
    'Give the bridge one: `tls: { certificate: …, key: "${secrets.NAME}" }`. The bridge tries again by itself.',
  ),
  'bridges.failed': again(502, 'The broker failed', 'See the detail; the bridge tries again by itself.'),
  'bridges.gap': row(
    410,
    'The other side no longer has all that was to be read',
    'What it dropped is lost to AIOS; the bridge went on from the oldest message that is there. Let the other side keep messages longer, or read them sooner.',
  ),
} as const satisfies Record<string, ErrorRow>;
