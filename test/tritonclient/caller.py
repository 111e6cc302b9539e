"""What both scripts of this folder call the stock tritonclient with."""

import inspect

import ml_dtypes
import numpy as np
from tritonclient.utils import np_to_triton_dtype

SAMPLES = {
    "BOOL": np.array([[True, False], [False, True]]),
    "UINT8": np.array([[0, 255], [1, 2]], np.uint8),
    "UINT16": np.array([[0, 65535], [1, 2]], np.uint16),
    "UINT32": np.array([[0, 2**32 - 1], [1, 2]], np.uint32),
    "UINT64": np.array([[0, 2**64 - 1], [1, 2]], np.uint64),
    "INT8": np.array([[-128, 127], [1, 2]], np.int8),
    "INT16": np.array([[-32768, 32767], [1, 2]], np.int16),
    "INT32": np.array([[-(2**31), 2**31 - 1], [1, 2]], np.int32),
    "INT64": np.array([[-(2**63), 2**63 - 1], [1, 2]], np.int64),
    "FP16": np.array([[0.5, -65504], [1, 6e-8]], np.float16),
    "BF16": np.array([[0.5, -3e38], [1, 1e-38]], ml_dtypes.bfloat16),
    "FP32": np.array([[0.1, -3e38], [1, 1e-38]], np.float32),
    "FP64": np.array([[0.1, -1e300], [1, 5e-324]], np.float64),
    "BYTES": np.array([[b"", b"\x00\xff"], ["größer".encode(), b"x" * 1000]], object),
}


class Caller:
    """Calls a client's method and waits where it is one of asyncio."""

    def __init__(self, module, url, key, **options):
        self.module = module
        self.client = module.InferenceServerClient(url, **options)
        self.headers = {"authorization": f"Bearer {key}"}

    async def __call__(self, method, *args, **kwargs):
        # A copy: the client adds its own headers to what it is given.
        result = getattr(self.client, method)(*args, headers=dict(self.headers), **kwargs)
        return await result if inspect.isawaitable(result) else result

    def tensor(self, name, array, datatype=None, **form):
        tensor = self.module.InferInput(name, list(array.shape), datatype or np_to_triton_dtype(array.dtype))
        tensor.set_data_from_numpy(array, **form)
        return tensor

    async def infer(self, model, inputs, **kwargs):
        return await self("infer", model, inputs, **kwargs)


async def classes(call):
    """The two highest of each row, as `score:index`."""
    a = np.array([[1, 4, 2, 3], [9, 7, 8, 9]], np.float32)
    inputs = [call.tensor("INPUT0", a), call.tensor("INPUT1", np.zeros_like(a))]
    result = await call.infer("add-sub", inputs, outputs=[call.module.InferRequestedOutput("SUM", class_count=2)])
    return [[text.decode() for text in row] for row in result.as_numpy("SUM")]
