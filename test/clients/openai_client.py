"""The stock Python client of OpenAI against a base URL: prints what it saw as JSON."""

import asyncio
import json
import sys

import openai

base_url, api_key = sys.argv[1:3]
client = openai.OpenAI(base_url=base_url, api_key=api_key, max_retries=0)
messages = [{"role": "user", "content": "Hello there"}]
seen = {}

answer = client.chat.completions.create(model="assistant", messages=messages)
seen["content"] = answer.choices[0].message.content
seen["tokens"] = answer.usage.completion_tokens

stream = client.chat.completions.create(
    model="assistant", messages=messages, stream=True, stream_options={"include_usage": True}
)
chunks = list(stream)
seen["streamed"] = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
seen["streamedTokens"] = chunks[-1].usage.completion_tokens

tools = [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in ("a", "b")]
called = client.chat.completions.create(model="assistant", messages=messages, tools=tools)
seen["tools"] = [call.function.name for call in called.choices[0].message.tool_calls]

schema = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
try:
    client.chat.completions.create(
        model="assistant",
        messages=messages,
        response_format={"type": "json_schema", "json_schema": {"name": "number", "schema": schema}},
    )
except openai.InternalServerError as error:
    seen["unstructured"] = [error.status_code, error.code]

seen["response"] = client.responses.create(model="assistant", input="Hello there").output_text
with client.responses.stream(model="assistant", input="Hello there") as events:
    seen["responseStreamed"] = [event.delta for event in events if event.type == "response.output_text.delta"]
    seen["responseTokens"] = events.get_final_response().usage.output_tokens

vectors = client.embeddings.create(model="vectors", input=["alpha", "beta"])  # base64 by default
seen["dimensions"] = [len(each.embedding) for each in vectors.data]
numbers = client.embeddings.create(model="vectors", input="beta", encoding_format="float")
seen["same"] = numbers.data[0].embedding == vectors.data[1].embedding
seen["models"] = [model.id for model in client.models.list()]
seen["retrieved"] = client.models.retrieve("assistant").id

try:
    client.chat.completions.create(model="nobody", messages=messages)
except openai.NotFoundError as error:
    seen["unknown"] = [error.status_code, error.code]
try:
    openai.OpenAI(base_url=base_url, api_key="wrong", max_retries=0).models.list()
except openai.AuthenticationError as error:
    seen["unauthenticated"] = error.status_code


async def leave() -> str:
    aio = openai.AsyncOpenAI(base_url=base_url, api_key=api_key, max_retries=0)
    async with await aio.chat.completions.create(model="assistant", messages=messages, stream=True) as open_stream:
        async for chunk in open_stream:
            return chunk.choices[0].delta.role
    return ""


seen["left"] = asyncio.run(leave())
print(json.dumps(seen))
