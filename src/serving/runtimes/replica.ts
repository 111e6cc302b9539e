import { readSync, writeSync } from 'node:fs';
import type { InferenceSession, Tensor as OnnxTensor } from 'onnxruntime-node';
import type { TensorSpec } from '../tensors/tensor.ts';
import {
  decodeFrame,
  encodeBytes,
  encodeFrame,
  encodeText,
  FRAME,
  type Frame,
  frameBytes,
} from './frames.ts';
import { castBfloat16 } from './onnx-bfloat16.ts';
import { openSession, type SessionOptions } from './onnx-session.ts';
import { describedAs, fromOnnx, toOnnx } from './onnx-tensors.ts';

/*
 * The main file of a replica's process: it loads one model and answers one frame after the other on descriptor 3. Reads and writes block:
 * the process has nothing else to do, and a turn of the event loop would cost more than a small model.
 */
const CHANNEL = 3;
const BUFFER_BYTES = 64 * 1024;
const OPTIONS = JSON.parse(process.argv[2] as string) as SessionOptions;

let buffer = new Uint8Array(BUFFER_BYTES);
/** Bytes in the buffer, and how many of them are of the frame that was given last. */
let available = 0;
let taken = 0;

/** The next frame, or nothing when the front has gone. Its tensors are valid until the next call. */
function readFrame(): Frame | undefined {
  buffer.copyWithin(0, taken, available); // what came with the last frame; elements are read in place, so that a frame starts at 0
  available -= taken;
  taken = frameBytes(buffer, available);
  while (taken === 0 || available < taken) {
    const count = readSync(CHANNEL, buffer, available, buffer.length - available, null);
    if (count === 0) return undefined;
    available += count;
    taken = frameBytes(buffer, available);
    if (taken > buffer.length) {
      const larger = new Uint8Array(taken);
      larger.set(buffer.subarray(0, available));
      buffer = larger;
    }
  }
  return decodeFrame(buffer.subarray(0, taken));
}

function send(frame: Uint8Array): void {
  for (let sent = 0; sent < frame.length; ) sent += writeSync(CHANNEL, frame, sent);
}

const BFLOAT16 = /Unsupported data type: 16$/;

async function open(model: Uint8Array): ReturnType<typeof openSession> {
  try {
    return await openSession(model, OPTIONS);
  } catch (error) {
    if (!BFLOAT16.test((error as Error).message)) throw error;
    return openSession(castBfloat16(model), OPTIONS);
  }
}

async function load(frame: Frame): Promise<InferenceSession> {
  const { session, device } = await open(frame.tensors[0]!.data as Uint8Array);
  const specs = (kind: string, metadata: readonly InferenceSession.ValueMetadata[]): TensorSpec[] =>
    metadata.map((entry) => {
      if (!entry.isTensor)
        throw new Error(`${kind} “${entry.name}” is not a tensor; export the model without ZipMap`);
      const { name, datatype } = describedAs(entry.name, entry.type);
      if (!datatype)
        throw new Error(`${kind} “${entry.name}” has the element type ${entry.type}, which is not served`);
      return {
        name,
        datatype,
        shape: entry.shape.map((dimension) => (typeof dimension === 'number' ? dimension : -1)),
      };
    });
  buffer = new Uint8Array(BUFFER_BYTES); // the file's bytes are not needed any more, and nothing is sent before they are answered
  available = taken = 0;
  const description = {
    device,
    residentBytes: process.memoryUsage.rss(),
    inputs: specs('input', session.inputMetadata),
    outputs: specs('output', session.outputMetadata),
  };
  send(encodeBytes(FRAME.describe, 0, new TextEncoder().encode(JSON.stringify(description))));
  return session;
}

async function run(session: InferenceSession, frame: Frame): Promise<Uint8Array> {
  const feeds: Record<string, OnnxTensor> = {};
  for (const [position, tensor] of frame.tensors.entries()) {
    const name = session.inputNames[position]!;
    feeds[name] = toOnnx(tensor, name);
  }
  const started = performance.now();
  const results = await session.run(feeds);
  const computeUs = (performance.now() - started) * 1000;
  const outputs = session.outputNames.map((name) => fromOnnx(results[name]!, name));
  return encodeFrame(FRAME.result, computeUs, [outputs]);
}

let session: InferenceSession | undefined;
for (let frame = readFrame(); frame; frame = readFrame()) {
  try {
    if (frame.kind === FRAME.load) session = await load(frame);
    else if (session) send(await run(session, frame));
  } catch (error) {
    send(encodeText(FRAME.fail, error instanceof Error ? error.message : String(error)));
  }
}
process.exit(0);
