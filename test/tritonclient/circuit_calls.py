"""What the stock tritonclient is told of one model, by both protocols: python circuit_calls.py HTTP_HOST:PORT GRPC_HOST:PORT KEY MODEL. Prints JSON."""

import asyncio
import json
import sys

import numpy as np
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

from caller import Caller


async def told(call, model, **form):
    try:
        await call.infer(model, [call.tensor("x", np.ones((1, 1), np.float32))])
        outcome = "answered"
    except InferenceServerException as error:
        outcome = [error.status(), error.message()]
    (stats,) = (await call("get_inference_statistics", model, **form))["model_stats"]
    counts = {name: int(stats["inference_stats"][name].get("count", 0)) for name in ("success", "fail")}
    return {"outcome": outcome, "ready": await call("is_model_ready", model), **counts}


async def main(http, grpc, key, model):
    return {
        "http": await told(Caller(tritonclient.http, http, key), model),
        "grpc": await told(Caller(tritonclient.grpc, grpc, key), model, as_json=True),
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
