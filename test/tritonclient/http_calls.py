"""What the stock tritonclient does against a server, over HTTP: python http_calls.py HOST:PORT KEY [--aio]. Prints JSON."""

import asyncio
import inspect
import json
import sys

import numpy as np
import tritonclient.http
import tritonclient.http.aio
from tritonclient.utils import InferenceServerException

from caller import SAMPLES, Caller, classes


async def identities(call):
    """Every datatype, there and back, binary and (where JSON can) text."""
    outcomes = {}
    for datatype, array in SAMPLES.items():
        model = f"identity-{datatype.lower()}"
        for binary in (True, False):
            if not binary and datatype in ("BF16", "BYTES"):
                continue
            asked = [call.module.InferRequestedOutput("OUTPUT0", binary_data=binary)]
            result = await call.infer(model, [call.tensor("INPUT0", array, datatype, binary_data=binary)], outputs=asked)
            answer = result.as_numpy("OUTPUT0")
            same = answer.dtype == array.dtype and answer.shape == array.shape and bool(np.all(answer == array))
            outcomes[f"{datatype} {'binary' if binary else 'text'}"] = same
    texts = np.array([["a", "größer"]], object)
    asked = [call.module.InferRequestedOutput("OUTPUT0", binary_data=False)]
    result = await call.infer("identity-bytes", [call.tensor("INPUT0", texts, "BYTES", binary_data=False)], outputs=asked)
    outcomes["BYTES text"] = result.as_numpy("OUTPUT0").tolist() == texts.tolist()
    return outcomes


async def batches(call):
    """Batches of any size, with two inputs and two outputs, compressed or not."""
    outcomes = {}
    for rows, request, response in ((1, None, None), (8, "gzip", "gzip"), (1000, "deflate", "deflate")):
        a = np.arange(rows * 4, dtype=np.float32).reshape(rows, 4)
        b = np.ones((rows, 4), np.float32)
        result = await call.infer(
            "add-sub",
            [call.tensor("INPUT1", b), call.tensor("INPUT0", a)],
            request_id=f"r{rows}",
            request_compression_algorithm=request,
            response_compression_algorithm=response,
        )
        right = np.all(result.as_numpy("SUM") == a + b) and np.all(result.as_numpy("DIFFERENCE") == a - b)
        outcomes[str(rows)] = bool(right) and result.get_response()["id"] == f"r{rows}"
    return outcomes


async def describe(call):
    return {
        "live": await call("is_server_live"),
        "ready": await call("is_server_ready"),
        "server": await call("get_server_metadata"),
        "model": await call("get_model_metadata", "add-sub"),
        "version": await call("get_model_metadata", "add-sub", "1"),
        "config": await call("get_model_config", "add-sub"),
    }


async def repository(call):
    states = []
    for step in ("load_model", "unload_model", "load_model"):
        await call(step, "identity-int8")
        index = await call("get_model_repository_index")
        state = next(entry["state"] for entry in index if entry["name"] == "identity-int8")
        states.append([step, state, await call("is_model_ready", "identity-int8", "1")])
    return states


async def errors(call):
    a = np.ones((1, 4), np.float32)
    fine = [call.tensor("INPUT0", a), call.tensor("INPUT1", a)]
    attempts = {
        "unknown model": ("none", fine, {}),
        "unknown version": ("add-sub", fine, {"model_version": "9"}),
        "missing input": ("add-sub", fine[:1], {}),
        "wrong shape": ("add-sub", [call.tensor("INPUT0", a[:, :3]), fine[1]], {}),
        "wrong datatype": ("add-sub", [call.tensor("INPUT0", a.astype(np.float64)), fine[1]], {}),
        "sequence": ("add-sub", fine, {"sequence_id": 5, "sequence_start": True}),
        "unknown output": ("add-sub", fine, {"outputs": [call.module.InferRequestedOutput("NONE")]}),
    }
    told = {}
    for name, (model, inputs, options) in attempts.items():
        try:
            await call.infer(model, inputs, **options)
            told[name] = "answered"
        except InferenceServerException as error:
            told[name] = [error.status(), error.message()]
    return told


async def statistics(call):
    a = np.ones((3, 4), np.float32)
    inputs = [call.tensor("INPUT0", a), call.tensor("INPUT1", a)]

    async def counted():
        (stats,) = (await call("get_inference_statistics", "add-sub", "1"))["model_stats"]
        return stats

    await call.infer("add-sub", inputs)
    before = await counted()
    await call.infer("add-sub", inputs)
    after = await counted()
    everything = await call("get_inference_statistics")
    return {
        "rows": after["inference_count"] - before["inference_count"],
        "executions": after["execution_count"] - before["execution_count"],
        "successes": after["inference_stats"]["success"]["count"] - before["inference_stats"]["success"]["count"],
        "infer_ns": after["inference_stats"]["compute_infer"]["ns"] > before["inference_stats"]["compute_infer"]["ns"],
        "batch_sizes": 3 in [batch["batch_size"] for batch in after["batch_stats"]],
        "models": len(everything["model_stats"]) > 1,
    }


async def main(url, key, aio):
    call = Caller(tritonclient.http.aio if aio else tritonclient.http, url, key)
    try:
        steps = (describe, identities, batches, classes, repository, errors, statistics)
        return {step.__name__: await step(call) for step in steps}
    finally:
        closing = call.client.close()
        if inspect.isawaitable(closing):
            await closing


if __name__ == "__main__":
    address, secret, *flags = sys.argv[1:]
    print(json.dumps(asyncio.run(main(address, secret, "--aio" in flags))))
