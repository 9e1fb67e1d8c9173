"""The package `openai` of Python, and the requests of chat front ends."""

import json
import os
import urllib.request

import openai
from pydantic import BaseModel

import lib

client = openai.OpenAI(base_url=f"{lib.URL}/v1", api_key="any", timeout=60)
tiny = openai.OpenAI(base_url=f"{lib.TINY_URL}/v1", api_key="any", timeout=60, max_retries=0)


def said(text):
    return [{"role": "user", "content": text}]


def runs(url=lib.URL, key=None):
    headers = {"authorization": f"Bearer {key}"} if key else {}
    with urllib.request.urlopen(urllib.request.Request(f"{url}/api/v1/runs?limit=200", headers=headers)) as answer:
        return json.load(answer)["runs"]


def state_of(run):
    return next(one for one in runs() if one["id"] == run)


@lib.test("models are listed and shown")
def _():
    ids = [model.id for model in client.models.list()]
    assert {"agent:assistant", "agent:caller", "workflow:pair", "llm:scripted"} <= set(ids), ids
    assert ids[0] == "agent:assistant"
    assert client.models.retrieve("agent:caller").owned_by == "martlet"
    try:
        client.models.retrieve("gpt-4o")
        raise AssertionError("there is no such model")
    except openai.NotFoundError as error:
        assert error.code == "model_not_found", error


@lib.test("an agent answers")
def _():
    answer = client.chat.completions.create(model="agent:assistant", messages=said("hello"))
    choice = answer.choices[0]
    assert choice.message.content == "Hello from Martlet." and choice.finish_reason == "stop", answer
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (12, 6), answer.usage
    assert answer.id == f"chatcmpl-{answer._request_id}", answer


@lib.test("an answer streams, with the thoughts before it and the tokens behind it")
def _():
    thoughts, content, finish, usage = "", "", None, None
    stream = client.chat.completions.create(
        model="agent:assistant", messages=said("calculate"), stream=True, stream_options={"include_usage": True}
    )
    for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            thoughts += getattr(choice.delta, "reasoning_content", None) or ""
            content += choice.delta.content or ""
            finish = choice.finish_reason or finish
    assert content == "It is 42." and finish == "stop", (content, finish)
    assert "I calculate it." in thoughts and "print(6 * 7)" in thoughts, thoughts
    assert usage and usage.total_tokens > 0, usage


@lib.test("the helper for streams of chat reads to the end")
def _():
    with client.chat.completions.stream(model="agent:assistant", messages=said("hello")) as stream:
        for _ in stream:
            pass
        assert stream.get_final_completion().choices[0].message.content == "Hello from Martlet."


@lib.test("a plain model streams token by token and is no run")
def _():
    before = len(runs())
    pieces = [
        chunk.choices[0].delta.content
        for chunk in client.chat.completions.create(model="llm:scripted", messages=said("story"), stream=True)
        if chunk.choices and chunk.choices[0].delta.content
    ]
    assert len(pieces) > 5 and "".join(pieces).startswith("Once upon a time"), pieces
    assert len(runs()) == before


@lib.test("an answer has the form of a type")
def _():
    class Place(BaseModel):
        city: str
        celsius: float

    answer = client.chat.completions.parse(model="agent:assistant", messages=said("typed"), response_format=Place)
    assert answer.choices[0].message.parsed == Place(city="Bergen", celsius=11.5), answer
    response = client.responses.parse(model="agent:assistant", input="typed", text_format=Place)
    assert response.output_parsed == Place(city="Bergen", celsius=11.5), response


@lib.test("a failure has a status, and in a stream it is raised")
def _():
    try:
        client.chat.completions.create(model="agent:assistant", messages=said("fail"))
        raise AssertionError("it fails")
    except openai.InternalServerError as error:
        assert error.code == "run_failed" and error.response.headers["x-should-retry"] == "false", error
    try:
        for _ in client.chat.completions.create(model="agent:assistant", messages=said("fail"), stream=True):
            pass
        raise AssertionError("it fails")
    except openai.APIError as error:
        assert error.code == "run_failed", error
    try:
        client.chat.completions.create(model="agent:assistant", messages=said("hello"), n=2)
        raise AssertionError("one answer is given")
    except openai.BadRequestError as error:
        assert error.param == "n" and error.code == "unsupported_parameter", error


@lib.test("keys, and who has none")
def _():
    keyed = openai.OpenAI(base_url=f"{lib.KEYS_URL}/v1", api_key=lib.KEY)
    assert keyed.chat.completions.create(model="assistant", messages=said("hello")).choices[0].message.content
    try:
        openai.OpenAI(base_url=f"{lib.KEYS_URL}/v1", api_key="mrt_nothing").models.list()
        raise AssertionError("this is no key")
    except openai.AuthenticationError as error:
        assert error.code == "invalid_api_key", error


@lib.test("a full line is a 429 that says when to come back")
def _():
    gates = [lib.Gate(), lib.Gate()]
    held = [tiny.responses.create(model="assistant", input=f"hold {gates[0].word}", background=True)]
    gates[0].reached()
    held.append(tiny.responses.create(model="assistant", input=f"hold {gates[1].word}", background=True))
    assert held[1].status == "queued", held[1]
    try:
        tiny.chat.completions.create(model="assistant", messages=said("hello"), stream=True)
        raise AssertionError("there is no room")
    except openai.RateLimitError as error:
        assert error.code in ("queue_full", "user_limit"), error
        assert 1 <= int(error.response.headers["retry-after"]) <= 120, error.response.headers
    for response in reversed(held):
        assert tiny.responses.cancel(response.id).status == "cancelled"


@lib.test("who closes a stream stops the run")
def _():
    gate = lib.Gate()
    stream = client.chat.completions.create(model="assistant", messages=said(f"hold {gate.word}"), stream=True)
    gate.reached()
    run = stream.response.headers["x-request-id"]
    stream.close()
    gate.left()
    lib.until(lambda: state_of(run)["outcome"] == "cancelled")


@lib.test("a conversation with a name is remembered, and its run goes on without the client")
def _():
    header = {"X-Session-Id": "python-1"}
    client.chat.completions.create(model="assistant", messages=said("my name is Ada"), extra_headers=header)
    answer = client.chat.completions.create(
        model="assistant", messages=said("what did I say"), extra_headers=header
    )
    assert answer.choices[0].message.content == "You said that your name is Ada.", answer
    gate = lib.Gate()
    stream = client.chat.completions.create(
        model="assistant", messages=said(f"hold {gate.word}"), stream=True, extra_headers=header
    )
    gate.reached()
    run = stream.response.headers["x-request-id"]
    stream.close()
    gate.open()
    lib.until(lambda: state_of(run)["outcome"] == "succeeded")


@lib.test("a response is made, asked for again and deleted")
def _():
    response = client.responses.create(model="agent:assistant", input="calculate", metadata={"a": "b"}, user="ada")
    assert response.output_text == "It is 42." and response.status == "completed", response
    kinds = [item.type for item in response.output]
    # The second program gives the answer.
    assert kinds == ["reasoning", "mcp_call", "mcp_call", "message"], kinds
    assert response.output[1].output == "42" and response.usage.total_tokens > 0, response
    assert response.usage.input_tokens_details.cached_tokens == 0
    again = client.responses.retrieve(response.id)
    assert again.to_dict() == response.to_dict(), (again, response)
    items = list(client.responses.input_items.list(response.id))
    assert items[0].content[0].text == "calculate", items
    assert again.metadata == {"a": "b"} and again.user == "ada"
    client.responses.delete(response.id)
    try:
        client.responses.retrieve(response.id)
        raise AssertionError("it is gone")
    except openai.NotFoundError:
        pass


@lib.test("the helper for streams of responses puts them together as they are stored")
def _():
    with client.responses.stream(model="agent:assistant", input="calculate") as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed", kinds
    assert final.output_text == "It is 42."
    told = final.to_dict()["output"]
    # What the package adds by itself.
    told[-1]["content"][0].pop("parsed", None)
    assert told == client.responses.retrieve(final.id).to_dict()["output"], told


@lib.test("what was said before goes on, for its owner alone")
def _():
    first = client.responses.create(model="agent:assistant", input="my name is Ada")
    second = client.responses.create(
        model="agent:assistant", input="what did I say", previous_response_id=first.id
    )
    assert second.output_text == "You said that your name is Ada.", second
    ann = openai.OpenAI(base_url=f"{lib.KEYS_URL}/v1", api_key=lib.KEY)
    bob = openai.OpenAI(base_url=f"{lib.KEYS_URL}/v1", api_key=os.environ["MARTLET_OTHER_KEY"])
    of_ann = ann.responses.create(model="agent:assistant", input="hello")
    for ask in (
        lambda: bob.responses.retrieve(of_ann.id),
        lambda: bob.responses.delete(of_ann.id),
        lambda: bob.responses.cancel(of_ann.id),
        lambda: bob.responses.create(model="assistant", input="x", previous_response_id=of_ann.id),
    ):
        try:
            ask()
            raise AssertionError("it is somebody else's")
        except openai.NotFoundError:
            pass


@lib.test("in the background a response goes on, and its stream is read on from any place")
def _():
    gate = lib.Gate()
    begun = client.responses.create(model="assistant", input=f"wait then work {gate.word}", background=True)
    assert begun.status in ("queued", "in_progress"), begun
    gate.reached()
    stream = client.responses.retrieve(begun.id, stream=True)
    seen = []
    gate.open()
    for event in stream:
        seen.append(event)
        if event.type == "response.mcp_call.completed":
            break
    stream.close()
    gate.open(1)
    lib.until(lambda: client.responses.retrieve(begun.id).status == "completed")
    rest = list(client.responses.retrieve(begun.id, stream=True, starting_after=seen[-1].sequence_number))
    numbers = [event.sequence_number for event in seen + rest]
    assert numbers == list(range(len(numbers))), numbers
    assert rest[-1].type == "response.completed" and rest[-1].response.output_text == "Both steps are done."
    every = [event.to_dict() for event in client.responses.retrieve(begun.id, stream=True)]
    assert every == [event.to_dict() for event in seen + rest]
    for after in range(0, len(every), 3):
        part = client.responses.retrieve(begun.id, stream=True, starting_after=after)
        assert [event.to_dict() for event in part] == every[after + 1 :], after


@lib.test("a response is cancelled")
def _():
    gate = lib.Gate()
    begun = client.responses.create(model="assistant", input=f"hold {gate.word}", background=True)
    gate.reached()
    assert client.responses.cancel(begun.id).status == "cancelled"
    gate.left()
    assert client.responses.retrieve(begun.id).status == "cancelled"


@lib.test("an agent asks for approval, and goes on with the answer")
def _():
    for approve, expected in ((True, "42"), (False, "too dear")):
        asked = client.responses.create(model="agent:caller", input="careful")
        assert asked.status == "completed", asked
        request = asked.output[-1]
        assert request.type == "mcp_approval_request" and request.name == "python", asked.output
        assert json.loads(request.arguments)["code"].startswith("# careful"), request
        answer = {
            "type": "mcp_approval_response", "approval_request_id": request.id, "approve": approve,
            "reason": None if approve else "too dear",
        }
        response = client.responses.create(model="agent:caller", input=[answer], previous_response_id=asked.id)
        assert response.status == "completed" and expected in response.output_text, response
        assert client.responses.retrieve(asked.id).to_dict() == asked.to_dict(), "what was asked stays as it was"
        assert client.responses.retrieve(response.id).to_dict() == response.to_dict()
        more = client.responses.create(
            model="agent:caller", input="hello", previous_response_id=response.id
        )
        assert more.output_text == "Hello from Martlet."


@lib.test("an agent asks a question in words")
def _():
    asked = client.responses.create(model="agent:caller", input="ask me")
    request = asked.output[-1]
    assert request.name == "ask_user" and json.loads(request.arguments) == {"question": "Which colour?"}, asked
    answer = {
        "type": "mcp_approval_response", "approval_request_id": request.id, "approve": True, "reason": "green",
    }
    response = client.responses.create(model="agent:caller", input=[answer], previous_response_id=asked.id)
    assert "green" in response.output_text, response


def questions_of(run):
    with urllib.request.urlopen(f"{lib.URL}/api/v1/approvals") as answer:
        return [one for one in json.load(answer)["approvals"] if one["run"] == run]


@lib.test("a chat waits for approval if it is asked to, and is denied otherwise")
def _():
    denied = client.chat.completions.create(model="agent:caller", messages=said("careful"))
    assert "nobody is there" in denied.choices[0].message.content, denied
    stream = client.chat.completions.create(model="agent:caller+hold", messages=said("careful"), stream=True)
    content, decided = "", False
    for chunk in stream:
        delta = chunk.choices[0].delta
        if "needs a person" in (getattr(delta, "reasoning_content", None) or ""):
            run = stream.response.headers["x-request-id"]
            # That a person is needed is told first, and then the question is put to people.
            [question] = lib.until(lambda: questions_of(run))
            request = urllib.request.Request(
                f"{lib.URL}/api/v1/approvals/{question['id']}", data=b'{"decision": "approve"}',
                headers={"content-type": "application/json"},
            )
            urllib.request.urlopen(request).read()
            decided = True
        content += delta.content or ""
    assert decided and "42" in content, content


# --- the requests of chat front ends, as they send them ---------------------------------------------------------


@lib.test("Open WebUI: a conversation, and the chores beside it")
def _():
    headers = {
        "X-OpenWebUI-User-Name": "Ada", "X-OpenWebUI-User-Id": "u1", "X-OpenWebUI-User-Email": "ada@example.com",
        "X-OpenWebUI-User-Role": "user", "X-OpenWebUI-Chat-Id": "3f1c5a1e-chat",
    }
    stream = client.chat.completions.create(
        model="agent:assistant", messages=said("my name is Ada"), stream=True,
        stream_options={"include_usage": True}, extra_headers=headers,
    )
    chunks = list(stream)
    assert chunks[-1].usage is not None and not chunks[-1].choices, chunks[-1]
    history = [*said("my name is Ada"), {"role": "assistant", "content": "x"}, *said("what did I say")]
    answer = client.chat.completions.create(model="agent:assistant", messages=history, extra_headers=headers)
    assert answer.choices[0].message.content == "You said that your name is Ada."
    before = len(runs())
    for words in ("Generate a concise, 3-5 word title with an emoji", "Generate 1-3 broad tags"):
        text = f"### Task:\n{words} summarizing the chat history.\n### Chat History:\n<chat_history>\nUSER: x\n"
        chore = client.chat.completions.create(
            model="agent:assistant", messages=said(text), stream=False, max_completion_tokens=1000,
            extra_headers=headers,
        )
        assert chore.choices[0].message.content, chore
    assert len(runs()) == before, "a chore is no run"


@lib.test("LibreChat: its defaults")
def _():
    answer = client.chat.completions.create(
        model="agent:assistant", messages=[{"role": "system", "content": "Be kind."}, *said("hello")],
        temperature=1, top_p=1, presence_penalty=0, frequency_penalty=0, user="66f0c0ffee", stream=True,
        extra_body={"streamRate": 25, "promptPrefix": ""},
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in answer if chunk.choices)
    assert text == "Hello from Martlet.", text


@lib.test("thoughts between tags, for clients that know no others")
def _():
    answer = client.chat.completions.create(model="agent:assistant+think_tags", messages=said("calculate"))
    content = answer.choices[0].message.content
    assert content.startswith("<think>") and content.endswith("</think>\n\nIt is 42."), content


lib.finish()
