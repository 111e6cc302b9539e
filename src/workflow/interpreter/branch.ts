/**
 * A part of a run that can be given up as a whole: a branch, a step under a timeout, the run itself. What waits in it is then
 * rejected with `Abandoned`, and what runs in it has its signal aborted.
 */
export interface Branch {
  readonly abandoned: boolean;
}
