import type { Root } from 'protobufjs';
import type { IDescriptorProto, IFileDescriptorProto } from 'protobufjs/ext/descriptor/index.js';

/** The services of a server as their clients know them without its files: FileDescriptorProto messages (google/protobuf/descriptor.proto). */
export interface GrpcDescriptors {
  /** Full names of the services. */
  readonly services: readonly string[];
  /** The file in which a service, a method, a message or an enumeration is declared, by its full name. */
  ofSymbol(name: string): Uint8Array | undefined;
  /** A file by its name. */
  ofFile(name: string): Uint8Array | undefined;
}

/**
 * Describes all services of a root; no file of it may need another. The library's part for it is loaded here, by the first who asks.
 *
 * @example (await describeServices(root)).ofSymbol('inference.GRPCInferenceService.ModelInfer')
 */
export async function describeServices(root: Root): Promise<GrpcDescriptors> {
  const { default: library } = await import('protobufjs/ext/descriptor/index.js');
  // The library adds this to its own classes, and its types do not say so.
  const { file } = (
    root as Root & { toDescriptor(syntax: string): { file: IFileDescriptorProto[] } }
  ).toDescriptor('proto3');
  const byName = new Map<string, Uint8Array>();
  const bySymbol = new Map<string, Uint8Array>();
  const services: string[] = [];
  for (const each of file) {
    const { package: of = '', messageType = [], enumType = [], service = [] } = each;
    each.name = `${of.replaceAll('.', '/')}.proto`;
    for (const message of messageType) nameMapEntries(message);
    const bytes = library.FileDescriptorProto.encode(each).finish();
    byName.set(each.name, bytes);
    for (const { name, method = [] } of service) {
      services.push(`${of}.${name}`);
      for (const symbol of ['', ...method.map((one) => `.${one.name}`)])
        bySymbol.set(`${of}.${name}${symbol}`, bytes);
    }
    for (const { name } of enumType) bySymbol.set(`${of}.${name}`, bytes);
    for (const symbol of messageType.flatMap(namesIn)) bySymbol.set(`${of}.${symbol}`, bytes);
  }
  return {
    services: services.sort(),
    ofSymbol: (name) => bySymbol.get(name),
    ofFile: (name) => byName.get(name),
  };
}

/** A message's own name and those of what is declared in it. */
function namesIn({ name, nestedType = [], enumType = [] }: IDescriptorProto): string[] {
  const inside = [...nestedType.flatMap(namesIn), ...enumType.map((each) => String(each.name))];
  return [String(name), ...inside.map((each) => `${name}.${each}`)];
}

/** The entries of a map are `ParametersEntry` of `parameters` by the language's own rule, which strict readers hold them to; the library leaves `Entry` out. */
function nameMapEntries(message: IDescriptorProto): void {
  const { field = [], nestedType = [] } = message;
  for (const nested of nestedType) {
    nameMapEntries(nested);
    if (!nested.options?.mapEntry) continue;
    const of = field.find(({ typeName }) => typeName === nested.name);
    nested.name = `${nested.name}Entry`;
    if (of) of.typeName = nested.name;
  }
}
