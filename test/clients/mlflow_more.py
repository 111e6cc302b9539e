"""What training scripts do with MLflow beyond the everyday, by its own client: nothing here knows AIOS. Prints what it saw as JSON."""
import hashlib
import json
import os
import sys
import tempfile

os.environ["MLFLOW_TRACKING_URI"] = sys.argv[1]
os.environ["MLFLOW_TRACKING_TOKEN"] = sys.argv[2]
os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "1"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
# Files of more than 5 MB go in parts of that size, as those of more than 500 MB do by default.
os.environ["MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE"] = str(5 * 1024**2)
os.environ["MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE"] = str(5 * 1024**2)

answers, sys.stdout = sys.stdout, sys.stderr  # the client tells people where to look

import mlflow
import pandas
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

seen = {}
client = MlflowClient()


def error_of(call):
    try:
        call()
    except MlflowException as error:
        return [error.error_code, str(error)]
    return None


mlflow.set_experiment("More")
experiment = client.get_experiment_by_name("More").experiment_id
with tempfile.TemporaryDirectory() as folder, mlflow.start_run(run_name="files") as run:
    files = run.info.run_id
    large = os.path.join(folder, "large.bin")
    block = hashlib.sha256(b"large").digest() * 32768  # 1 MiB
    with open(large, "wb") as file:
        for _ in range(12):
            file.write(block)
        file.write(b"end")
    mlflow.log_artifact(large, "data")
    os.environ["MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD"] = "false"
    mlflow.log_artifact(large, "whole")
    mlflow.log_table({"question": ["a", "b"], "score": [1, 2]}, "table.json")
    mlflow.log_table(pandas.DataFrame({"question": ["c"], "score": [3]}), "table.json")
    mlflow.log_text("all is well", "notes/note.txt")
    mlflow.log_dict({"a": [1, 2]}, "config.yaml")
    with open(os.path.join(folder, "empty"), "w"):
        pass
    mlflow.log_artifact(os.path.join(folder, "empty"))
    with mlflow.start_run(run_name="child", nested=True) as child:
        mlflow.log_metric("loss", 0.5)
same = lambda path: hashlib.sha256(open(client.download_artifacts(files, path), "rb").read()).hexdigest()
expected = hashlib.sha256(block * 12 + b"end").hexdigest()
seen["large"] = [same("data/large.bin") == expected, same("whole/large.bin") == expected]
seen["table"] = mlflow.load_table("table.json", run_ids=[files]).to_dict(orient="list")
seen["text"] = mlflow.artifacts.load_text(f"runs:/{files}/notes/note.txt")
seen["yaml"] = mlflow.artifacts.load_text(f"runs:/{files}/config.yaml")
seen["files"] = [[f.path, f.is_dir, f.file_size] for f in client.list_artifacts(files)]
children = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{files}'")
seen["nested"] = [each.info.run_name for each in children]

# A batch as large as the client sends, and one that is larger.
with mlflow.start_run(run_name="batch") as run:
    batch = run.info.run_id
    client.log_batch(
        batch,
        metrics=[Metric(f"m{n}", n, 0, n) for n in range(1000)],
        params=[Param(f"p{n}", str(n)) for n in range(100)],
        tags=[RunTag(f"t{n}", str(n)) for n in range(100)],
    )
    mlflow.log_params({f"q{n}": n for n in range(250)})
    mlflow.log_metrics({f"r{n}": n for n in range(2500)})
data = client.get_run(batch).data
seen["batch"] = [len(data.params), len(data.metrics), sum(key.startswith("t") for key in data.tags)]
seen["over"] = {
    "value": error_of(lambda: client.log_param(batch, "long", "x" * 6001)),
}

# Operators of searches, as they are documented.
for name, value in [("one", 1), ("two", 2), ("Three", 3)]:
    with mlflow.start_run(run_name=name):
        mlflow.log_metric("value", value)
        mlflow.log_param("kind", name)
        mlflow.set_tag("mlflow.note.content", f"the {name}")


def found(filter_string):
    runs = client.search_runs([experiment], filter_string, order_by=["metrics.value ASC"])
    return [each.info.run_name for each in runs]


seen["operators"] = {
    text: found(text)
    for text in [
        "metrics.value = 2",
        "metrics.value != 2",
        "metrics.value >= 2 and metrics.value < 3",
        "params.kind LIKE 'T%'",
        "params.kind ILIKE 't%'",
        "params.kind IN ('one', 'two')",
        "params.kind NOT IN ('one', 'two') AND metrics.value > 0",
        "tags.`mlflow.note.content` LIKE '%two'",
        "attributes.run_name != 'one' and metrics.value <= 2",
        "attributes.start_time > 0 and metrics.value = 1",
        "attributes.`Run Name` = 'one' and attributes.Created > 0",
        "attributes.artifact_uri LIKE 'mlflow-artifacts:/%' and metrics.value = 3",
    ]
}

# The registry: aliases and tags, of models and of versions.
client.create_registered_model("Names", tags={"team": "a"}, description="all of them")
client.create_registered_model("Others", tags={"team": "b"})
seen["tagged"] = [m.name for m in client.search_registered_models("tags.team = 'a'")]
client.set_registered_model_tag("Names", "team", "c")
seen["retagged"] = client.get_registered_model("Names").tags
client.delete_registered_model_tag("Names", "team")
seen["untagged"] = client.get_registered_model("Names").tags
client.delete_registered_model("Others")
seen["gone"] = error_of(lambda: client.get_registered_model("Others"))

# Prompts are registered models with tags.
mlflow.genai.register_prompt(name="greeting", template="Hello {{name}}", tags={"tone": "kind"})
mlflow.genai.register_prompt(name="greeting", template="Good day {{name}}", commit_message="politer")
mlflow.genai.set_prompt_alias("greeting", alias="production", version=1)
prompt = mlflow.genai.load_prompt("prompts:/greeting@production")
seen["prompt"] = [prompt.version, prompt.format(name="Ann"), mlflow.genai.load_prompt("greeting", version=2).template]
seen["prompts"] = [each.name for each in mlflow.genai.search_prompts()]
seen["models"] = sorted(m.name for m in client.search_registered_models())

# What is not here says so.
seen["trace"] = error_of(lambda: client.search_traces(experiment_ids=[experiment]))
with mlflow.start_run(run_name="traced"):
    with mlflow.start_span("work") as span:
        span.set_inputs({"a": 1})
    mlflow.flush_trace_async_logging()
    seen["traced"] = mlflow.active_run().info.status


# A training script that traces by a decorator and logs a model that does: all that it logs is there afterwards.
class Traced(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: list[float], params=None) -> list[float]:
        with mlflow.start_span("predict"):
            return model_input


@mlflow.trace
def train():
    mlflow.log_metric("loss", 0.25)
    return mlflow.pyfunc.log_model(name="traced", python_model=Traced(), input_example=[1.0], pip_requirements=[])


mlflow.autolog()
with mlflow.start_run(run_name="decorated") as run:
    logged = train()
    mlflow.log_param("after", "yes")
mlflow.flush_trace_async_logging()
decorated = client.get_run(run.info.run_id)
seen["decorated"] = [
    decorated.info.status,
    decorated.data.metrics,
    decorated.data.params,
    mlflow.pyfunc.load_model(logged.model_uri).predict([2.0]),
]
print(json.dumps(seen), file=answers)
