import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Type } from 'protobufjs';
import type { JsonObject } from '../../kernel/json.ts';
import { describeServices, type GrpcDescriptors } from './grpc-descriptors.ts';

/** One method, in the form that grpc-js takes. */
export interface GrpcMethod {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  requestSerialize(message: object): Buffer;
  requestDeserialize(bytes: Buffer): object;
  responseSerialize(message: object): Buffer;
  responseDeserialize(bytes: Buffer): object;
}

export type GrpcService = Readonly<Record<string, GrpcMethod>>;

interface GrpcServices {
  readonly inference: GrpcService;
  readonly health: GrpcService;
  /** The service of reflection under both of its names. */
  readonly reflection: readonly GrpcService[];
  /** What reflection tells. */
  readonly describe: () => Promise<GrpcDescriptors>;
  /** A model's configuration as its message: enumerations by number. */
  readonly configMessage: (config: JsonObject) => object;
}

const REFLECTIONS = ['grpc.reflection.v1', 'grpc.reflection.v1alpha'];
let describing: Promise<GrpcDescriptors> | undefined;
let loading: Promise<GrpcServices> | undefined;

/**
 * The services of the protocol, read from their files once. Messages are coded by protobufjs itself: proto-loader would copy each into a plain
 * object, array by array.
 *
 * @example (await loadGrpcServices()).inference.ModelInfer.path // '/inference.GRPCInferenceService/ModelInfer'
 */
export function loadGrpcServices(): Promise<GrpcServices> {
  loading ??= load();
  return loading;
}

async function load(): Promise<GrpcServices> {
  const { default: protobuf } = await import('protobufjs');
  const root = new protobuf.Root();
  const parse = (source: string) => protobuf.parse(source, root, { keepCase: true });
  const read = (file: string) => readFile(join(import.meta.dirname, file), 'utf8');
  for (const file of ['grpc-inference.proto', 'grpc-health.proto']) parse(await read(file));
  const reflection = await read('grpc-reflection.proto');
  for (const name of REFLECTIONS) parse(reflection.replace(`package ${REFLECTIONS[0]};`, `package ${name};`));
  root.resolveAll();
  const serviceOf = (name: string): GrpcService => {
    const { methods } = root.lookupService(name);
    return Object.fromEntries(
      Object.values(methods).map((method): [string, GrpcMethod] => {
        const request = coderOf(method.resolvedRequestType as Type);
        const response = coderOf(method.resolvedResponseType as Type);
        return [
          method.name,
          {
            path: `/${name}/${method.name}`,
            requestStream: method.requestStream === true,
            responseStream: method.responseStream === true,
            requestSerialize: request.serialize,
            requestDeserialize: request.deserialize,
            responseSerialize: response.serialize,
            responseDeserialize: response.deserialize,
          },
        ];
      }),
    );
  };
  const config = root.lookupType('inference.ModelConfig');
  return {
    inference: serviceOf('inference.GRPCInferenceService'),
    health: serviceOf('grpc.health.v1.Health'),
    reflection: REFLECTIONS.map((name) => serviceOf(`${name}.ServerReflection`)),
    describe: () => {
      describing ??= describeServices(root);
      return describing;
    },
    configMessage: (told) => config.fromObject(told),
  };
}

function coderOf(type: Type) {
  return {
    serialize: (message: object) => type.encode(message).finish() as Buffer,
    deserialize: (bytes: Buffer): object => type.decode(bytes),
  };
}
