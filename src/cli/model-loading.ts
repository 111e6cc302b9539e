import type { Action } from './command-row.ts';
import { EXIT, print } from './output.ts';
import { openClient } from './session.ts';

const OF = { load: 'is loaded', unload: 'is unloaded; the next request loads it again' } as const;

const change =
  (action: keyof typeof OF): Action =>
  async (options, [name]) => {
    const client = await openClient(options);
    const path = `/v2/repository/models/${encodeURIComponent(name!)}/${action}`;
    await client.request('POST', path, { body: {} });
    print({ model: name, action }, options.json, () => `${name} ${OF[action]}`);
    return EXIT.ok;
  };

/** `aios models load NAME` */
export const load = change('load');
/** `aios models unload NAME` */
export const unload = change('unload');
