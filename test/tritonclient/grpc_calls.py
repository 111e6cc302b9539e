"""What the stock tritonclient does against a server, over gRPC: python grpc_calls.py HOST:PORT KEY [--aio] [--ca=FILE]. Prints JSON."""

import asyncio
import inspect
import json
import queue
import sys

import numpy as np
import tritonclient.grpc
import tritonclient.grpc.aio
from tritonclient.utils import InferenceServerException

from caller import SAMPLES, Caller, classes


async def identities(call):
    """Every datatype, there and back."""
    outcomes = {}
    for datatype, array in SAMPLES.items():
        result = await call.infer(f"identity-{datatype.lower()}", [call.tensor("INPUT0", array, datatype)])
        answer = result.as_numpy("OUTPUT0")
        outcomes[datatype] = (
            answer.dtype == array.dtype and answer.shape == array.shape and bool(np.all(answer == array))
        )
    return outcomes


def add_sub(call, rows):
    a = np.arange(rows * 4, dtype=np.float32).reshape(rows, 4)
    b = np.ones((rows, 4), np.float32)
    return a, b, [call.tensor("INPUT1", b), call.tensor("INPUT0", a)]


async def batches(call):
    """Batches of any size, with two inputs and two outputs, compressed or not, with a deadline or a priority."""
    outcomes = {}
    plans = ((1, {}), (8, {"compression_algorithm": "gzip"}), (5, {"client_timeout": 10.0, "priority": 1}))
    for rows, options in plans:
        a, b, inputs = add_sub(call, rows)
        result = await call.infer("add-sub", inputs, request_id=f"r{rows}", **options)
        right = np.all(result.as_numpy("SUM") == a + b) and np.all(result.as_numpy("DIFFERENCE") == a - b)
        outcomes[str(rows)] = bool(right) and result.get_response().id == f"r{rows}"
    asked = [call.module.InferRequestedOutput("SUM")]
    result = await call.infer("add-sub", add_sub(call, 1)[2], outputs=asked)
    outcomes["one output"] = [output.name for output in result.get_response().outputs] == ["SUM"]
    return outcomes


async def describe(call):
    return {
        "live": await call("is_server_live"),
        "ready": await call("is_server_ready"),
        "server": await call("get_server_metadata", as_json=True),
        "model": await call("get_model_metadata", "add-sub", as_json=True),
        "version": await call("get_model_metadata", "add-sub", "1", as_json=True),
        "config": await call("get_model_config", "add-sub", as_json=True),
        "statistics": await call("get_inference_statistics", "add-sub", as_json=True),
    }


async def repository(call):
    states = []
    for step in ("load_model", "unload_model", "load_model"):
        await call(step, "identity-int8")
        index = await call("get_model_repository_index")
        state = next(entry.state for entry in index.models if entry.name == "identity-int8")
        states.append([step, state, await call("is_model_ready", "identity-int8", "1")])
    return states


async def stream(call):
    """Requests of one stream and their answers, by id; a fault is told and does not end it."""
    plan = [("add-sub", f"s{i}", i) for i in range(20)] + [("none", "bad", 0), ("add-sub", "last", 7)]

    def inputs(value):
        array = np.full((1, 4), value, np.float32)
        return [call.tensor("INPUT0", array), call.tensor("INPUT1", array)]

    if call.module is tritonclient.grpc:
        answers = queue.Queue()
        call.client.start_stream(callback=lambda result, error: answers.put((result, error)), headers=call.headers)
        for model, request_id, value in plan:
            call.client.async_stream_infer(model, inputs(value), request_id=request_id)
        collected = [answers.get(timeout=30) for _ in plan]
        call.client.stop_stream()
    else:

        async def requests():
            for model, request_id, value in plan:
                yield {"model_name": model, "inputs": inputs(value), "request_id": request_id}

        collected = [pair async for pair in call.client.stream_infer(requests(), headers=call.headers)]
    told = []
    for result, error in collected:
        if error is not None:
            told.append(["error", str(error)])
        else:
            told.append([result.get_response().id, float(result.as_numpy("SUM")[0][0])])
    return told


async def errors(call):
    _, _, fine = add_sub(call, 1)
    a = np.ones((1, 4), np.float32)
    attempts = {
        "unknown model": ("none", fine, {}),
        "unknown version": ("add-sub", fine, {"model_version": "9"}),
        "missing input": ("add-sub", fine[:1], {}),
        "wrong shape": ("add-sub", [call.tensor("INPUT0", a[:, :3]), fine[0]], {}),
        "wrong datatype": ("add-sub", [call.tensor("INPUT0", a.astype(np.float64)), fine[0]], {}),
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
    call.headers = {}
    try:
        await call.infer("add-sub", fine)
    except InferenceServerException as error:
        told["no key"] = [error.status(), error.message()]
    return told


async def main(url, key, aio, authority):
    tls = {"ssl": True, "root_certificates": authority} if authority else {}
    call = Caller(tritonclient.grpc.aio if aio else tritonclient.grpc, url, key, **tls)
    try:
        steps = (identities, batches, classes, describe, repository, stream, errors)
        return {step.__name__: await step(call) for step in steps}
    finally:
        closing = call.client.close()
        if inspect.isawaitable(closing):
            await closing


if __name__ == "__main__":
    address, secret, *flags = sys.argv[1:]
    authorities = [flag.removeprefix("--ca=") for flag in flags if flag.startswith("--ca=")]
    print(json.dumps(asyncio.run(main(address, secret, "--aio" in flags, *(authorities or [None])))))
