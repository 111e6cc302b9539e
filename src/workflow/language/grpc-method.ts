import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, posix } from 'node:path';
import { AiosError } from '../../kernel/errors.ts';
import type { JsonObject } from '../../kernel/json.ts';

const IMPORT = /^\s*import\s+(?:public\s+|weak\s+)?"([^"]+)"\s*;/gm;
/** They come with the library. */
const WELL_KNOWN = /^google\/protobuf\//;
const FILES_MAX = 100;

/**
 * A method of a service as calls of it need it: its path, its streams, whether it says that it changes nothing (`idempotency_level = NO_SIDE_EFFECTS`), and the
 * descriptors of its messages, in base64.
 *
 * @param read files that the proto imports, by addresses beside its own
 * @throws AiosError `definition.invalid` for a file that is no proto3 or proto2, a service or method that it lacks, a method that is sent a stream
 * @example await grpcMethod(text, 'shop.Orders', 'Place', 'resources/shop.proto', readFile)
 */
export async function grpcMethod(
  text: string,
  service: string,
  method: string,
  uri: string,
  read: (uri: string) => Promise<string>,
): Promise<JsonObject> {
  const folder = await mkdtemp(join(tmpdir(), 'aios-proto-'));
  try {
    const main = await writeAll(folder, text, uri, read);
    const { loadSync } = await import('@grpc/proto-loader');
    const found = loaded(() => loadSync(main, { includeDirs: [folder], keepCase: true }), uri);
    const definition = found[service];
    if (!definition || 'format' in definition) {
      const known = Object.keys(found).filter((name) => !('format' in found[name]!));
      throw invalid(`${uri} has no service “${service}”; it has ${known.join(', ') || 'none'}.`);
    }
    const chosen = Object.hasOwn(definition, method) ? definition[method] : undefined;
    if (!chosen)
      throw invalid(`${service} has no method “${method}”; it has ${Object.keys(definition).join(', ')}.`);
    if (chosen.requestStream) throw invalid(`${service}.${method} is sent a stream, which a flow has not.`);
    return {
      path: chosen.path,
      responseStream: chosen.responseStream,
      isReading: chosen.options.idempotency_level === 'NO_SIDE_EFFECTS',
      descriptors: setOf([...chosen.requestType.fileDescriptorProtos]).toString('base64'),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Writes a file and what it imports under a folder, each at the path by which it is imported. */
async function writeAll(
  folder: string,
  text: string,
  uri: string,
  read: (uri: string) => Promise<string>,
): Promise<string> {
  const main = 'main.proto';
  const waiting = [{ name: main, text, uri }];
  const written = new Set<string>();
  for (let file = waiting.pop(); file; file = waiting.pop()) {
    if (written.size >= FILES_MAX) throw invalid(`${uri} imports more than ${FILES_MAX} files.`);
    const path = join(folder, file.name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, file.text);
    written.add(file.name);
    for (const [, name = ''] of file.text.matchAll(IMPORT)) {
      if (WELL_KNOWN.test(name) || written.has(name)) continue;
      if (posix.isAbsolute(name) || URL.canParse(name) || name.split('/').includes('..'))
        throw invalid(`The import “${name}” leaves its folder.`);
      const at = beside(uri, name);
      waiting.push({ name, text: await read(at), uri: at });
    }
  }
  return join(folder, main);
}

function beside(uri: string, name: string): string {
  return URL.canParse(uri) ? new URL(name, uri).href : posix.join(posix.dirname(uri), name);
}

function loaded<T>(load: () => T, uri: string): T {
  try {
    return load();
  } catch (error) {
    throw invalid(
      `${uri} is not a file of protocol buffers: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

/** A FileDescriptorSet: its only field, number 1, is a list of messages, each with its length. */
function setOf(files: readonly Uint8Array[]): Buffer {
  return Buffer.concat(files.flatMap((file) => [Buffer.from([0x0a, ...varint(file.length)]), file]));
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return [...bytes, rest];
    bytes.push((rest & 0x7f) | 0x80);
  }
}

function invalid(detail: string): AiosError {
  return new AiosError('definition.invalid', { detail });
}
