import { AiosError } from '../kernel/errors.ts';
import type { Json } from '../kernel/json.ts';
import { secretsOf } from '../models/endpoint-secrets.ts';
import type { AccessPort, Caller } from './routes.ts';

const PERMISSION = 'definitions.write';

/**
 * Who names a secret and the host that it goes to has the secret: an endpoint with one takes what a definition with one takes.
 *
 * @throws AiosError `access.forbidden`
 */
export function requireSecrets(
  access: Pick<AccessPort, 'can'>,
  caller: Caller,
  endpoint: Json | undefined,
): void {
  const names = secretsOf(endpoint);
  if (names.length === 0 || access.can(caller, PERMISSION)) return;
  throw new AiosError('access.forbidden', {
    detail: `The endpoint names the secrets ${names.join(', ')}: that needs the permission ${PERMISSION}. Register it with such a key, or by the project's definition of the model.`,
    extensions: { permission: PERMISSION },
  });
}
