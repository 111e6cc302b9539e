"""What a client that has no files of ours learns by reflection, and an inference made with it: prints JSON."""

import json
import sys

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

address, key = sys.argv[1:3]
channel = grpc.insecure_channel(address)
database = ProtoReflectionDescriptorDatabase(channel)
pool = DescriptorPool(database)
method = pool.FindServiceByName("inference.GRPCInferenceService").FindMethodByName("ModelInfer")
request_class, answer_class = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
request = request_class(model_name="add-sub", id="one")
for name in ("INPUT0", "INPUT1"):
    tensor = request.inputs.add(name=name, datatype="FP32", shape=[1, 4])
    tensor.contents.fp32_contents.extend([1, 2, 3, 4])
request.parameters["priority"].int64_param = 1
infer = channel.unary_unary(
    "/inference.GRPCInferenceService/ModelInfer",
    request_serializer=request_class.SerializeToString,
    response_deserializer=answer_class.FromString,
)
answer = infer(request, metadata=[("authorization", f"Bearer {key}")])
try:
    pool.FindMessageTypeByName("inference.Nothing")
    unknown = "found"
except KeyError:
    unknown = "not found"
print(json.dumps({"services": sorted(database.get_services()), "outputs": [o.name for o in answer.outputs], "id": answer.id, "unknown": unknown}))
