/**
 * Upper bounds, in seconds, of the histograms of durations: those that OpenTelemetry recommends for HTTP, with more at both ends, since work inside a process
 * takes milliseconds and a call with retries a minute. Without them the bounds are those for milliseconds, and nearly everything lies below the first, 5 s.
 */
export const DURATION_BUCKETS_S = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60, 120,
];
