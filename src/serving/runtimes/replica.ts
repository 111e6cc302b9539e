import { readSync, writeSync } from 'node:fs';
import { type InferenceSession, Tensor as OnnxTensor } from 'onnxruntime-node';
import { ByteStrings } from '../tensors/byte-strings.ts';
import type { Datatype, TensorData, TensorSpec } from '../tensors/tensor.ts';
import {
  decodeFrame,
  encodeBytes,
  encodeFrame,
  encodeText,
  FRAME,
  type Frame,
  frameBytes,
} from './frames.ts';
import { openSession, type SessionOptions } from './onnx-session.ts';

/*
 * The main file of a replica's process: it loads one model and answers one frame after the other on descriptor 3. Reads and writes block:
 * the process has nothing else to do, and a turn of the event loop would cost more than a small model.
 */
const CHANNEL = 3;
const ONNX_TYPES: Record<string, Datatype> = {
  bool: 'BOOL',
  uint8: 'UINT8',
  uint16: 'UINT16',
  uint32: 'UINT32',
  uint64: 'UINT64',
  int8: 'INT8',
  int16: 'INT16',
  int32: 'INT32',
  int64: 'INT64',
  float16: 'FP16',
  float32: 'FP32',
  float64: 'FP64',
  string: 'BYTES',
};
const TYPES_OF = Object.fromEntries(Object.entries(ONNX_TYPES).map(([onnx, datatype]) => [datatype, onnx]));

const BUFFER_BYTES = 64 * 1024;
const OPTIONS = JSON.parse(process.argv[2] as string) as SessionOptions;

let buffer = new Uint8Array(BUFFER_BYTES);

/** The next frame, or nothing when the front has gone. Its tensors are valid until the next call. */
function readFrame(): Frame | undefined {
  let available = 0;
  let needed = 0;
  while (needed === 0 || available < needed) {
    const count = readSync(CHANNEL, buffer, available, buffer.length - available, null);
    if (count === 0) return undefined;
    available += count;
    needed = frameBytes(buffer, available);
    if (needed > buffer.length) {
      const larger = new Uint8Array(needed);
      larger.set(buffer.subarray(0, available));
      buffer = larger;
    }
  }
  return decodeFrame(buffer.subarray(0, needed));
}

function send(frame: Uint8Array): void {
  for (let sent = 0; sent < frame.length; ) sent += writeSync(CHANNEL, frame, sent);
}

const BFLOAT16 = /Unsupported data type: 16$/;

function refusal(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return BFLOAT16.test(message)
    ? 'ONNX Runtime for Node has no bfloat16 inputs and outputs; cast them to float'
    : message;
}

async function load(frame: Frame): Promise<InferenceSession> {
  const { session, device } = await openSession(frame.tensors[0]!.data as Uint8Array, OPTIONS);
  const specs = (kind: string, metadata: readonly InferenceSession.ValueMetadata[]): TensorSpec[] =>
    metadata.map((entry) => {
      if (!entry.isTensor)
        throw new Error(`${kind} “${entry.name}” is not a tensor; export the model without ZipMap`);
      const datatype = ONNX_TYPES[entry.type];
      if (!datatype)
        throw new Error(`${kind} “${entry.name}” has the element type ${entry.type}, which is not served`);
      return {
        name: entry.name,
        datatype,
        shape: entry.shape.map((dimension) => (typeof dimension === 'number' ? dimension : -1)),
      };
    });
  buffer = new Uint8Array(BUFFER_BYTES); // the file's bytes are not needed any more
  const description = {
    device,
    residentBytes: process.memoryUsage.rss(),
    inputs: specs('input', session.inputMetadata),
    outputs: specs('output', session.outputMetadata),
  };
  send(encodeBytes(FRAME.describe, 0, new TextEncoder().encode(JSON.stringify(description))));
  return session;
}

function wordsOf({ buffer, byteOffset, length }: Float16Array): Uint16Array {
  return new Uint16Array(buffer, byteOffset, length);
}

/** ONNX strings are UTF-8, and ONNX Runtime for Node ends them at a NUL: other bytes would come back as something else. */
function textsOf(data: ByteStrings, name: string): string[] {
  return Array.from(data, (_, i) => {
    const text = data.text(i);
    if (text === undefined || text.includes('\0'))
      throw new Error(`input “${name}”, element ${i} is not UTF-8 without NUL`);
    return text;
  });
}

async function run(session: InferenceSession, frame: Frame): Promise<Uint8Array> {
  const feeds: Record<string, OnnxTensor> = {};
  for (const [position, { datatype, shape, data }] of frame.tensors.entries()) {
    const name = session.inputNames[position]!;
    const values = data instanceof ByteStrings ? textsOf(data, name) : data;
    const feed = new OnnxTensor(TYPES_OF[datatype] as 'float32', values as Float32Array, shape);
    // ONNX Runtime's tensors hold FP16 as Float16Array, while its native part reads nothing but words.
    if (datatype === 'FP16') Object.assign(feed, { cpuData: wordsOf(data as Float16Array) });
    feeds[name] = feed;
  }
  const started = performance.now();
  const results = await session.run(feeds);
  const computeUs = (performance.now() - started) * 1000;
  const outputs = session.outputNames.map((name) => {
    const { type, dims, data } = results[name]!;
    const values = type === 'string' ? ByteStrings.from(data as string[]) : (data as TensorData);
    return { datatype: ONNX_TYPES[type]!, shape: dims, data: values };
  });
  return encodeFrame(FRAME.result, computeUs, [outputs]);
}

let session: InferenceSession | undefined;
for (let frame = readFrame(); frame; frame = readFrame()) {
  try {
    if (frame.kind === FRAME.load) session = await load(frame);
    else if (session) send(await run(session, frame));
  } catch (error) {
    send(encodeText(FRAME.fail, refusal(error)));
  }
}
process.exit(0);
