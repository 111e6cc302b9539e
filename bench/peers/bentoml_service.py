"""The bench's model in BentoML: one worker, its adaptive batching on."""

import os

import bentoml
import numpy
import onnxruntime


@bentoml.service(workers=1, traffic={"timeout": 30, "max_concurrency": 1000})
class Small:
    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(os.environ["BENCH_MODEL"], options)

    @bentoml.api(batchable=True, max_batch_size=64, max_latency_ms=1000)
    def infer(self, x: numpy.ndarray) -> numpy.ndarray:
        (y,) = self._session.run(["y"], {"x": x.astype(numpy.float32)})
        return y
