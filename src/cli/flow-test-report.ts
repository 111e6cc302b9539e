/** What came of a test of a flow; it has passed when there is no fault. */
export interface FlowTestReport {
  file: string;
  name: string;
  workflow: string;
  faults: string[];
  steps: string[];
  tookMs: number;
}

/** Runs the tests of a project's flows; the process hands it in, since the engine is no part of the command line. */
export type TestFlows = (files: readonly { path: string; text: string }[]) => Promise<FlowTestReport[]>;
