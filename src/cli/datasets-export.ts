import { createWriteStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { AiosClient } from '../client/client.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { Action } from './command-row.ts';
import { pathOf, versionText } from './datasets.ts';
import { EXIT, print } from './output.ts';
import { openClient } from './session.ts';

/** `aios datasets export NAME TARGET`: what is written is said by the ending of the target; into a folder all of it. */
export const exportTo: Action = async (options, [name, target]) => {
  const client = await openClient(options);
  const path = `${pathOf(name!)}/versions/${versionText('--of-version', options.ofVersion)}`;
  const ending = extname(target!).slice(1).toLowerCase();
  const written = ending === '' ? await exportFolder(client, path, target!) : [target!];
  if (ending === 'json') await croissant(client, path, target!);
  else if (ending === 'md')
    await writeFile(target!, await client.request<string>('GET', `${path}/datasheet`));
  else if (['parquet', 'csv', 'jsonl'].includes(ending)) await data(client, path, ending, target!);
  else if (ending !== '') {
    process.stderr.write(
      `.${ending} is none of .parquet, .csv, .jsonl, .json (Croissant) and .md (datasheet).\n`,
    );
    return EXIT.usage;
  }
  print({ written }, options.json, () => written.join('\n'));
  return EXIT.ok;
};

/** The metadata names the file beside it, so that the folder can be read wherever it goes. */
async function exportFolder(client: AiosClient, path: string, folder: string): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const files = ['data.parquet', 'croissant.json', 'datasheet.md'].map((name) => join(folder, name));
  await data(client, path, 'parquet', files[0]!);
  await croissant(client, path, files[1]!, 'data.parquet');
  await writeFile(files[2]!, await client.request<string>('GET', `${path}/datasheet`));
  return files;
}

async function data(client: AiosClient, path: string, format: string, file: string): Promise<void> {
  await pipeline(await client.download(`${path}/data`, { format }), createWriteStream(file));
}

async function croissant(client: AiosClient, path: string, file: string, contentUrl?: string): Promise<void> {
  const metadata = await client.request<JsonObject>('GET', `${path}/croissant`);
  if (contentUrl !== undefined) {
    metadata.url = contentUrl;
    (metadata.distribution as [JsonObject])[0].contentUrl = contentUrl;
  }
  await writeFile(file, `${JSON.stringify(metadata, null, 2)}\n`);
}
