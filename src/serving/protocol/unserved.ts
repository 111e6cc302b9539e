import { AiosError } from '../../kernel/errors.ts';

/*
 * Extensions of Triton that its clients may ask for and that are not served (triton-inference-server/server, docs/protocol: extension_trace,
 * extension_logging, extension_shared_memory, extension_generate). A client that asks is told what does the same here, whatever its door.
 */
const SHARED_MEMORY =
  'there is no shared memory with clients; send tensors in the request, over HTTP by the extension binary_tensor_data, over gRPC as raw_input_contents';
const INSTEAD = {
  trace:
    'traces are set up at the start: OTEL_EXPORTER_OTLP_ENDPOINT says where they go and AIOS_TRACE_RATIO how many; a traceparent with a call has it traced',
  logging: 'the log is set up at the start: AIOS_LOG names the lowest level',
  system_shared_memory: SHARED_MEMORY,
  cuda_shared_memory: SHARED_MEMORY,
  generate:
    'language models are asked at /v1/chat/completions, in the protocol of OpenAI, whole or as a stream; models with tensors at /v2/models/{name}/infer',
} as const;

type UnservedExtension = keyof typeof INSTEAD;

/** Addresses under which clients ask for them; `*` stands for any rest. */
export const UNSERVED_PATHS: readonly (readonly [url: string, extension: UnservedExtension])[] = [
  ['/v2/trace/setting', 'trace'],
  ['/v2/models/:name/trace/setting', 'trace'],
  ['/v2/models/:name/generate', 'generate'],
  ['/v2/models/:name/generate_stream', 'generate'],
  ['/v2/models/:name/versions/:version/generate', 'generate'],
  ['/v2/models/:name/versions/:version/generate_stream', 'generate'],
  ['/v2/logging', 'logging'],
  ['/v2/systemsharedmemory/*', 'system_shared_memory'],
  ['/v2/cudasharedmemory/*', 'cuda_shared_memory'],
];

/** Methods of the gRPC service by which clients ask for them. */
export const UNSERVED_METHODS: readonly (readonly [method: string, extension: UnservedExtension])[] = [
  ['TraceSetting', 'trace'],
  ['LogSettings', 'logging'],
  ['SystemSharedMemoryStatus', 'system_shared_memory'],
  ['SystemSharedMemoryRegister', 'system_shared_memory'],
  ['SystemSharedMemoryUnregister', 'system_shared_memory'],
  ['CudaSharedMemoryStatus', 'cuda_shared_memory'],
  ['CudaSharedMemoryRegister', 'cuda_shared_memory'],
  ['CudaSharedMemoryUnregister', 'cuda_shared_memory'],
];

/**
 * @throws AiosError `serving.extension_unserved`, with what does the same here
 * @example refuseExtension('logging')
 */
export function refuseExtension(extension: UnservedExtension): never {
  throw new AiosError('serving.extension_unserved', {
    detail: `The extension ${extension} is not served: ${INSTEAD[extension]}.`,
    extensions: { extension },
  });
}
