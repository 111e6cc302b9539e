const OWN_EVENTS = ['io.serverlessworkflow.', 'aios.contract.quality.', 'aios.webhook.'];

/**
 * Whether AIOS itself writes the events of a type to the log, of runs, of the quality of contracts and of webhooks: these need no contract.
 *
 * @example isOwnEvent('aios.contract.quality.failed.v1') // true
 */
export function isOwnEvent(type: string): boolean {
  return OWN_EVENTS.some((start) => type.startsWith(start));
}
