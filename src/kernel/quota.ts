/** How much of a limit a caller has left: what an answer tells so that the next calls can be slower. */
export interface Quota {
  /** Of the limit: `requests`, or the name of a budget. */
  readonly name: string;
  readonly unit: 'requests' | 'tokens';
  /** The most there is in a window. */
  readonly limit: number;
  /** What is left of it, this call taken off. */
  readonly remaining: number;
  /** In how many milliseconds all of it is there again. */
  readonly resetMs: number;
  readonly windowMs: number;
}
