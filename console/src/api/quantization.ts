interface OfBoth {
  parent: number;
  child: number;
}

/** What was measured of a quantized version beside the version that it was made of. */
export interface Quantization {
  method: string;
  parent: { version: number };
  operators: Record<string, number>;
  data: { source: string; rows: number };
  bytes: OfBoth;
  residentBytes: OfBoth;
  agreement: number;
  accuracy: (OfBoth & { metric: string }) | null;
  speed: { batchRows: number; p50Ms: OfBoth; rowsPerSecond: OfBoth }[];
}
