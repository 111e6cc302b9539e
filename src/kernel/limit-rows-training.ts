/** Limits of experiments and of training. Those of MLflow’s API are as its own server has them, so that its clients meet nothing new. */
export const TRAINING_LIMITS = {
  trackingBatchMetricsMax: { value: 1_000, why: 'metrics in one call of MLflow’s log-batch' },
  trackingBatchParamsMax: { value: 100, why: 'parameters, and tags, in one call of MLflow’s log-batch' },
  trackingKeyCharsMax: { value: 250, why: 'the name of a metric, a parameter or a tag' },
  trackingParamCharsMax: { value: 6_000, why: 'the value of a parameter of a training run' },
  trackingTagCharsMax: { value: 8_000, why: 'the value of a tag of a training run' },
  trackingPageCountMax: {
    value: 50_000,
    why: 'what one page of a search of training runs, experiments or models may hold',
  },
  trackingFilterCountMax: {
    value: 100,
    why: 'comparisons of a search of training runs, experiments or models, and as many names that it is ordered by: Postgres took 67 s to plan 20,000',
  },
  trackingHistoryCountMax: { value: 25_000, why: 'values of a metric in one page of its history' },
  trackingListCountMax: { value: 10_000, why: 'files in one answer that lists a folder of artifacts' },
  trackingArtifactBytesMax: {
    value: 4 * 1024 * 1024 * 1024,
    why: 'one file of a training run or a logged model; of one to be served, modelBytesMax',
  },
  trackingPartBytesMax: {
    value: 64 * 1024 * 1024,
    why: 'one part of a file that MLflow’s client sends in parts',
  },
  trackingPartsMax: { value: 10_000, why: 'parts of such a file' },
  trackingDeletedMs: {
    value: 30 * 86_400_000,
    why: 'how long the files of a deleted training run or logged model can be had back with it',
  },
  trackingCollectMs: { value: 3_600_000, why: 'how often files are looked for that nothing names any more' },
  trackingCollectCountMax: {
    value: 200,
    why: 'runs, models, uploads and files that one such look takes away, in a transaction each',
  },
  trainingMs: { value: 21_600_000, why: 'how long one training may run; a trainer may name less' },
  trainingLogBytesMax: {
    value: 4 * 1024 * 1024,
    why: 'what is kept of what one training writes: the begin, and 64 KiB of the end',
  },
  trainingsActiveMax: {
    value: 2,
    why: 'trainings that one process runs at a time; others wait for their turn',
  },
} as const;
