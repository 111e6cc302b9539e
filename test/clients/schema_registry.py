"""Registers and reads schemas by Confluent's stock client and its serializers, in their default mode: address, key of an operator, key of a viewer."""
import json
import sys
from datetime import datetime, timezone

from confluent_kafka.schema_registry import ConfigCompatibilityLevel, ServerConfig, Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

address, writing, reading = sys.argv[1:4]


def client(key):
    return SchemaRegistryClient({
        "url": address + "/schema-registry",
        "bearer.auth.credentials.source": "STATIC_TOKEN",
        "bearer.auth.token": key,
        "bearer.auth.logical.cluster": "none",
        "bearer.auth.identity.pool.id": "none",
    })


def refused(call):
    try:
        call()
    except SchemaRegistryError as error:
        return [error.http_status_code, error.error_code]
    return None


def schema(properties):
    return json.dumps({"title": "Order", "type": "object", "properties": properties})


first = schema({"total": {"type": "number"}})
second = schema({"total": {"type": "number"}, "note": {"type": "string"}})
narrow = schema({"total": {"type": "integer"}})
writer, reader = client(writing), client(reading)
context = SerializationContext("orders", MessageField.VALUE)

# The first producer registers its schema; one that may only read finds it there.
sent = JSONSerializer(first, writer)({"total": 1.5}, context)
again = JSONSerializer(first, reader)({"total": 2.5}, context)
read = JSONDeserializer(None, schema_registry_client=client(reading))(sent, context)
next_id = writer.register_schema("orders-value", Schema(second, "JSON"))
latest = reader.get_latest_version("orders-value")
registered = reader.lookup_schema("orders-value", Schema(first, "JSON"))
id_of_first = int.from_bytes(sent[1:5], "big")

# A schema that refers to another one, and the serializer that reads both.
writer.register_schema("money-value", Schema(json.dumps({"type": "number", "minimum": 0}), "JSON"))
priced = Schema(json.dumps({"title": "Price", "type": "object", "properties": {"price": {"$ref": "money.json"}}}), "JSON",
                [SchemaReference("money.json", "money-value", 1)])
price_context = SerializationContext("prices", MessageField.VALUE)
price = JSONSerializer(priced, writer)({"price": 2.5}, price_context)
price_read = JSONDeserializer(None, schema_registry_client=client(reading))(price, price_context)

# Deleted softly it is still read by its id; then it is gone, and registering brings it back.
draft = Schema(schema({"draft": {"type": "string"}}), "JSON")
draft_id = writer.register_schema("drafts-value", draft)
deleted = [writer.delete_subject("drafts-value"), client(reading).get_schema(draft_id).schema_type,
           "drafts" in reader.get_subjects(), "drafts" in reader.get_subjects(deleted=True),
           refused(lambda: reader.get_versions("drafts-value"))]
deleted += [writer.delete_subject("drafts-value", permanent=True), refused(lambda: client(reading).get_schema(draft_id)),
            client(writing).register_schema("drafts-value", draft) == draft_id]
# Avro: registered by the serializer, read with a later version, refused where that does not read it, and by reference.
def record(*fields):
    return json.dumps({"type": "record", "name": "Paid", "namespace": "com.acme", "fields": list(fields)})


total, moment = {"name": "total", "type": "double"}, {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}
paid = record(total, moment)
noted = record(total, moment, {"name": "note", "type": "string", "default": "-"})
demanding = record(total, moment, {"name": "shop", "type": "string"})
paid_context = SerializationContext("payments", MessageField.VALUE)
value = {"total": 1.5, "at": datetime(2026, 1, 2, 3, 4, 5, 678000, timezone.utc)}
paid_bytes = AvroSerializer(writer, paid)(value, paid_context)
writer.register_schema("payments-value", Schema(noted, "AVRO"))
money_type = json.dumps({"type": "record", "name": "com.acme.Money", "fields": [{"name": "amount", "type": "int"}]})
writer.register_schema("amounts-value", Schema(money_type, "AVRO"))
bill = Schema(json.dumps({"type": "array", "items": "com.acme.Money"}), "AVRO", [SchemaReference("com.acme.Money", "amounts-value", 1)])
bill_context = SerializationContext("bills", MessageField.VALUE)
bill_bytes = AvroSerializer(writer, bill)([{"amount": 5}], bill_context)


def plain(found):
    return {name: part.isoformat() if isinstance(part, datetime) else part for name, part in found.items()}


avro = {
    "read": plain(AvroDeserializer(client(reading))(paid_bytes, paid_context)),
    "sameId": paid_bytes[:5] == AvroSerializer(reader, paid)(value, paid_context)[:5],
    "type": client(reading).get_schema(int.from_bytes(paid_bytes[1:5], "big")).schema_type,
    "evolved": plain(AvroDeserializer(client(reading), noted)(paid_bytes, paid_context)),
    "incompatible": refused(lambda: writer.register_schema("payments-value", Schema(demanding, "AVRO"))),
    "compatible": [writer.test_compatibility("payments-value", Schema(noted, "AVRO")),
                   writer.test_compatibility("payments-value", Schema(demanding, "AVRO"))],
    "referredBy": [reader.get_referenced_by("amounts-value", 1) == [int.from_bytes(bill_bytes[1:5], "big")],
                   refused(lambda: writer.delete_subject("amounts-value"))],
    "referred": AvroDeserializer(client(reading))(bill_bytes, bill_context)[0],
    "versions": reader.get_versions("payments-value"),
}
print(json.dumps({
    "avro": avro,
    "read": read,
    "sameId": sent[:5] == again[:5],
    "registered": [registered.version, registered.schema_id == id_of_first],
    "latest": [latest.version, latest.schema_id == next_id, json.loads(latest.schema.schema_str) == json.loads(second)],
    "byId": json.loads(client(reading).get_schema(next_id).schema_str) == json.loads(second),
    "versions": reader.get_versions("orders-value"),
    "subjects": "orders" in reader.get_subjects(),
    "compatible": [
        writer.test_compatibility("orders-value", Schema(second, "JSON")),
        writer.test_compatibility("orders-value", Schema(narrow, "JSON")),
    ],
    "incompatible": refused(lambda: writer.register_schema("orders-value", Schema(narrow, "JSON"))),
    "forbidden": refused(lambda: reader.register_schema("others-value", Schema(first, "JSON"))),
    "protobuf": refused(lambda: writer.register_schema("others-value", Schema('syntax = "proto3";', "PROTOBUF"))),
    "unknownVersion": refused(lambda: reader.get_version("orders-value", 9)),
    "price": price_read,
    "deleted": deleted,
    "oldVersion": [writer.delete_version("orders-value", 1), reader.get_versions("orders-value")],
    "config": [
        refused(lambda: writer.get_compatibility("orders-value")),
        writer.set_config("orders-value", ServerConfig(compatibility=ConfigCompatibilityLevel.FULL))["compatibility"],
        reader.get_config("orders-value").compatibility_level,
        writer.delete_config("orders-value").compatibility_level,
        reader.get_config().compatibility_level,
        writer.set_compatibility("orders-value", "NONE")["compatibility"],
        client(reading).get_compatibility("orders-value"),
    ],
    "mode": [
        reader.get_global_mode(),
        refused(lambda: reader.get_mode("drafts-value")),
        writer.update_mode("drafts-value", "READONLY"),
        reader.get_mode("drafts-value"),
        refused(lambda: writer.register_schema("drafts-value", Schema(schema({"other": {"type": "string"}}), "JSON"))),
        client(reading).get_schema(draft_id).schema_type,
        writer.delete_mode("drafts-value"),
        writer.update_global_mode("READWRITE"),
        reader.get_contexts(),
    ],
}))
