"""What training scripts do with MLflow, by its own client: nothing here knows AIOS. Prints what it saw as JSON."""
import json
import math
import os
import sys
import tempfile

os.environ["MLFLOW_TRACKING_URI"] = sys.argv[1]
os.environ["MLFLOW_TRACKING_TOKEN"] = sys.argv[2]
os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "1"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING"] = "false"

answers, sys.stdout = sys.stdout, sys.stderr  # the client tells people where to look

import mlflow
import mlflow.onnx
import numpy
import onnx
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature

seen = {}
client = MlflowClient()


def error_of(call):
    try:
        call()
    except MlflowException as error:
        return error.error_code
    return None


def small_model():
    """score = 2 * x0 + 3 * x1"""
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 2])
    score = onnx.helper.make_tensor_value_info("score", onnx.TensorProto.FLOAT, ["n", 1])
    weight = onnx.numpy_helper.from_array(numpy.array([[2], [3]], dtype=numpy.float32), "w")
    node = onnx.helper.make_node("MatMul", ["x", "w"], ["score"])
    graph = onnx.helper.make_graph([node], "small", [x], [score], [weight])
    return onnx.helper.make_model(graph, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 17)])


class Doubling(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input):
        return [2 * each for each in model_input]


# Experiments and runs, as the fluent API does it.
mlflow.set_experiment("Return risk")
rows = numpy.array([[1, 2], [3, 4]], dtype=numpy.float32)
with mlflow.start_run(run_name="first", tags={"team": "returns"}) as run:
    first = run.info.run_id
    mlflow.log_param("depth", 6)
    mlflow.log_params({"rate": 0.1, "kind": "tree"})
    for step in range(5):
        mlflow.log_metric("auc", 0.7 + step / 20, step=step)
    mlflow.log_metrics({"loss": float("nan"), "worst": float("inf")})
    mlflow.set_tag("note", "a note, with 'quotes'")
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "report.txt"), "w") as file:
            file.write("all is well")
        mlflow.log_artifact(os.path.join(folder, "report.txt"), "reports")
    mlflow.log_dict({"a": 1}, "config.json")
    info = mlflow.onnx.log_model(
        small_model(),
        name="risk",
        signature=infer_signature(rows, numpy.array([[8.0], [18.0]], dtype=numpy.float32)),
        registered_model_name="Return Risk",
        pip_requirements=["onnx"],
    )

told = client.get_run(first)
seen["params"] = told.data.params
seen["metrics"] = {key: str(round(value, 3)) for key, value in sorted(told.data.metrics.items())}
seen["tags"] = {key: told.data.tags[key] for key in ("team", "note", "mlflow.runName")}
seen["status"] = told.info.status
seen["history"] = [(m.step, round(m.value, 3)) for m in client.get_metric_history(first, "auc")]
seen["artifacts"] = [(f.path, f.is_dir) for f in client.list_artifacts(first)]
seen["reports"] = [(f.path, f.file_size) for f in client.list_artifacts(first, "reports")]
local = client.download_artifacts(first, "reports/report.txt")
seen["report"] = open(local).read()

with mlflow.start_run(run_name="second") as run:
    second = run.info.run_id
    mlflow.log_params({"depth": 8, "rate": 0.2})
    mlflow.log_metric("auc", 0.95)
    data = mlflow.data.from_numpy(rows, name="returns", targets=None)
    mlflow.log_input(data, context="training")
    plain = mlflow.pyfunc.log_model(name="plain", python_model=Doubling(), pip_requirements=["numpy"])
with mlflow.start_run(run_name="third"):
    third = mlflow.active_run().info.run_id
    mlflow.log_metric("auc", 0.1)

# Searches: the filter and the order are the server's work.
experiment = client.get_experiment_by_name("Return risk")


def found(filter_string, order_by=None, **more):
    runs = client.search_runs([experiment.experiment_id], filter_string, order_by=order_by, **more)
    return [each.info.run_name for each in runs]


seen["search"] = {
    "metric": found("metrics.auc > 0.85", ["metrics.auc DESC"]),
    "param": found("params.depth = '6' and params.kind LIKE 'tr%'"),
    "tag": found("tags.team = 'returns' AND attributes.status = 'FINISHED'"),
    "in": found("attributes.run_name IN ('second', 'third')", ["attributes.run_name ASC"]),
    "ilike": found("run_name ILIKE 'SEC%'"),
    "quoted": found("tags.`note` = \"a note, with 'quotes'\""),
    "dataset": found("dataset.name = 'returns'"),
    "unset": found("params.kind IS NULL", ["attributes.run_name ASC"]),
    "order": found("", ["metrics.auc ASC"]),
    "invalid": error_of(lambda: found("metrics.auc ~ 3")),
}
page = client.search_runs([experiment.experiment_id], order_by=["metrics.auc ASC"], max_results=2)
rest = client.search_runs([experiment.experiment_id], order_by=["metrics.auc ASC"], max_results=2, page_token=page.token)
seen["pages"] = [len(page), len(rest), rest.token]
seen["logged"] = sorted(m.name for m in mlflow.search_logged_models([experiment.experiment_id], output_format="list"))
seen["experiments"] = [e.name for e in client.search_experiments(filter_string="name LIKE 'Return%'")]
seen["inputs"] = [d.dataset.name for d in client.get_run(second).inputs.dataset_inputs]

# The registry.
seen["registered"] = [info.registered_model_version, client.get_registered_model("Return Risk").name]
version = client.get_model_version("Return Risk", "1")
seen["version"] = [version.status, version.run_id == first, version.status_message]
kept = mlflow.register_model(plain.model_uri, "Return Risk")
seen["kept"] = [kept.version, client.get_model_version("Return Risk", "2").status_message]
client.set_registered_model_alias("Return Risk", "champion", "1")
seen["alias"] = client.get_model_version_by_alias("Return Risk", "champion").version
seen["over"] = error_of(lambda: client.set_registered_model_alias("Return Risk", "champion", "2"))
client.set_registered_model_alias("Return Risk", "candidate", "2")
seen["aliases"] = client.get_registered_model("Return Risk").aliases
client.delete_registered_model_alias("Return Risk", "candidate")
seen["afterwards"] = client.get_registered_model("Return Risk").aliases
client.update_registered_model("Return Risk", description="Whether an order comes back")
client.set_registered_model_tag("Return Risk", "owner", "returns")
client.update_model_version("Return Risk", "1", description="the first")
client.set_model_version_tag("Return Risk", "1", "checked", "yes")
model = client.get_registered_model("Return Risk")
seen["described"] = [model.description, model.tags, client.get_model_version("Return Risk", "1").tags]
seen["versions"] = [v.version for v in client.search_model_versions("name = 'Return Risk'", order_by=["version_number ASC"])]
seen["models"] = [m.name for m in client.search_registered_models("name LIKE 'Return%'")]
seen["stage"] = error_of(lambda: client.transition_model_version_stage("Return Risk", "1", "Production"))
seen["latest"] = [
    [v.version for v in client.get_latest_versions("Return Risk", stages=stages)] for stages in (None, ["None"], ["Production"])
]
seen["in_stage"] = error_of(lambda: mlflow.pyfunc.load_model("models:/Return Risk/Production"))
seen["deleted"] = error_of(lambda: client.delete_model_version("Return Risk", "1"))
seen["loaded"] = [int(v) for v in numpy.array(mlflow.pyfunc.load_model(plain.model_uri).predict([1, 2])).ravel()]
onnx_again = mlflow.onnx.load_model("models:/Return Risk@champion")
seen["again"] = [each.name for each in onnx_again.graph.output]

# Errors and what is put away.
seen["errors"] = {
    "run": error_of(lambda: client.get_run("no-such-run")),
    "exists": error_of(lambda: client.create_experiment("Return risk")),
    "param": error_of(lambda: client.log_param(first, "depth", 7)),
    "model": error_of(lambda: client.get_registered_model("nothing")),
    "version": error_of(lambda: client.get_model_version("Return Risk", "99")),
    "aliases": [error_of(lambda: client.set_registered_model_alias("Return Risk", a, "1")) for a in ("latest", "V2")],
}
client.delete_run(third)
seen["left"] = found("")
client.restore_run(third)
seen["restored"] = len(found(""))
client.set_terminated(third, status="FAILED")
seen["failed"] = client.get_run(third).info.status
client.delete_tag(first, "team")
seen["untagged"] = "team" in client.get_run(first).data.tags
other = client.create_experiment("Another")
client.rename_experiment(other, "Renamed")
client.set_experiment_tag(other, "a", "b")
client.delete_experiment(other)
seen["another"] = [client.get_experiment(other).lifecycle_stage, client.get_experiment(other).name]
seen["nan"] = math.isnan(told.data.metrics["loss"])
print(json.dumps(seen), file=answers)
