import type { Action } from './command-row.ts';
import { EXIT, print } from './output.ts';
import { openClient } from './session.ts';

/** A one-time link that logs in to the console as the key that asks. */
export const login: Action = async (options) => {
  const client = await openClient(options);
  const { url } = await client.request<{ url: string }>('POST', '/api/v1/login-links', { body: {} });
  print({ url }, options.json, () => url);
  return EXIT.ok;
};
