/*
 * The messages of `grpc-inference.proto` as protobufjs reads and writes them: members named as in the file, 64-bit integers as `Long`, bytes as
 * views into what was received.
 */

/** A 64-bit integer as protobufjs reads it. */
export interface Long {
  readonly low: number;
  readonly high: number;
  toNumber(): number;
}

export interface InferParameter {
  readonly parameter_choice?: 'bool_param' | 'int64_param' | 'string_param' | 'double_param' | 'uint64_param';
  readonly bool_param?: boolean;
  readonly int64_param?: Long | number;
  readonly string_param?: string;
  readonly double_param?: number;
  readonly uint64_param?: Long | number;
}

type Parameters = Readonly<Record<string, InferParameter>>;

export interface InferTensorContents {
  readonly bool_contents: readonly boolean[];
  readonly int_contents: readonly number[];
  readonly int64_contents: readonly Long[];
  readonly uint_contents: readonly number[];
  readonly uint64_contents: readonly Long[];
  readonly fp32_contents: readonly number[];
  readonly fp64_contents: readonly number[];
  readonly bytes_contents: readonly Uint8Array[];
}

/** An input or an output; its elements stand in `contents` or, raw, beside the list. */
export interface InferTensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly (Long | number)[];
  readonly parameters?: Parameters;
  readonly contents?: InferTensorContents | null;
}

export interface ModelInferRequest {
  readonly model_name: string;
  readonly model_version: string;
  readonly id: string;
  readonly parameters: Parameters;
  readonly inputs: readonly InferTensor[];
  readonly outputs: readonly { readonly name: string; readonly parameters: Parameters }[];
  readonly raw_input_contents: readonly Uint8Array[];
}

export interface ModelInferResponse {
  readonly model_name: string;
  readonly model_version: string;
  readonly id: string;
  readonly parameters?: Parameters;
  readonly outputs: readonly InferTensor[];
  readonly raw_output_contents: readonly Uint8Array[];
}
