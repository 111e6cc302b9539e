import type { ServerDuplexStream } from '@grpc/grpc-js';
import { AiosError } from '../kernel/errors.ts';
import type { GrpcDescriptors } from '../serving/protocol/grpc-descriptors.ts';

interface ReflectionRequest {
  /** Which of the following is asked. */
  readonly message_request?: 'list_services' | 'file_by_filename' | 'file_containing_symbol';
  readonly file_by_filename: string;
  readonly file_containing_symbol: string;
}
type Reflection = ServerDuplexStream<ReflectionRequest, object>;

const NOT_FOUND = 5;
const UNIMPLEMENTED = 12;

/** Server reflection (grpc/grpc, doc/server-reflection.md): what the services and their messages are. It is open to all, as is the source that it is made of. */
export class GrpcReflection {
  readonly #describe: () => Promise<GrpcDescriptors>;
  readonly #streamsMax: number;
  #open = 0;

  constructor(describe: () => Promise<GrpcDescriptors>, streamsMax: number) {
    this.#describe = describe;
    this.#streamsMax = streamsMax;
  }

  /** Answers the questions of one client, in their order. @throws AiosError `request.overloaded` when as many ask as may */
  async answer(call: Reflection): Promise<void> {
    if (this.#open >= this.#streamsMax)
      throw new AiosError('request.overloaded', {
        detail: `${this.#streamsMax} streams are open.`,
        extensions: { limitName: 'streamsMax', limit: this.#streamsMax },
      });
    this.#open++;
    call.once('cancelled', () => void this.#open--); // which grpc-js tells of every call that has ended
    const descriptors = await this.#describe();
    call.on('data', (request: ReflectionRequest) => {
      const answer = { original_request: request, ...answerTo(request, descriptors) };
      if (call.write(answer)) return;
      call.pause(); // no more of a client that takes no answers
      call.once('drain', () => call.resume());
    });
    call.on('end', () => call.end());
  }
}

function answerTo(request: ReflectionRequest, { services, ofSymbol, ofFile }: GrpcDescriptors): object {
  const { message_request: asked, file_by_filename: file, file_containing_symbol: symbol } = request;
  if (asked === 'list_services')
    return { list_services_response: { service: services.map((name) => ({ name })) } };
  if (asked === 'file_by_filename') return described(ofFile(file), `file “${file}”`);
  if (asked === 'file_containing_symbol') return described(ofSymbol(symbol), `symbol “${symbol}”`);
  return fault(UNIMPLEMENTED, 'There are no extensions here.');
}

function described(found: Uint8Array | undefined, sought: string): object {
  if (found) return { file_descriptor_response: { file_descriptor_proto: [found] } };
  return fault(NOT_FOUND, `There is no ${sought} here.`);
}

function fault(code: number, message: string): object {
  return { error_response: { error_code: code, error_message: message } };
}
