"""The Python client of Gradio, and the load test of a chat that was served by Gradio."""

import asyncio
import concurrent.futures
import os
import tempfile
from pathlib import Path

import httpx
from gradio_client import Client, handle_file
from gradio_client.utils import QueueError, Status

from lib import KEY, KEYS_URL, TINY_URL, URL, Gate, check, finish, test, until

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"


def connect(url=URL, **options):
    return Client(url, verbose=False, analytics_enabled=False, **options)


client = connect()


@test("the agents are endpoints")
def _():
    endpoints = client.view_api(print_info=False, return_format="dict")["named_endpoints"]
    text = client.view_api(print_info=False, return_format="str")
    return {"/chat", "/predict", "/caller"} <= endpoints.keys() and "predict(message, history, web_search" in text or text


@test("predict gives the answer")
def _():
    answer = client.predict("hello", api_name="/chat")
    return answer == "Hello from Martlet." or answer


@test("arguments have names and defaults")
def _():
    answer = client.predict(message={"text": "hello", "files": []}, web_search=False, api_name="/predict")
    return answer == "Hello from Martlet." or answer


@test("what is done is shown while it is, and at last the answer")
def _():
    job = client.submit("calculate", api_name="/caller")
    seen = list(job)
    return job.result() == "It is 42." and seen[-1] == "It is 42." and any("python" in text for text in seen) or seen


@test("the conversation of a client is remembered, and that of predict is the caller's")
def _():
    own = connect()
    own.predict("my name is Ada", api_name="/chat")
    remembered = own.predict("what did I say?", api_name="/chat")
    forgotten = own.predict("what did I say?", api_name="/predict")
    history = [{"role": "user", "content": "my name is Ada"}, {"role": "assistant", "content": "Hi."}]
    told = own.predict("what did I say?", history, api_name="/predict")
    expected = ("You said that your name is Ada.", "You said nothing.", "You said that your name is Ada.")
    return (remembered, forgotten, told) == expected or (remembered, forgotten, told)


@test("many calls of one client at once")
def _():
    jobs = [client.submit(f"hello {number}", api_name="/predict") for number in range(12)]
    answers = [job.result(timeout=60) for job in jobs]
    return answers == ["Hello from Martlet."] * 12 or answers


@test("an error is told")
def _():
    try:
        client.predict("fail", api_name="/predict")
    except Exception as error:
        return "the model refuses this" in str(error) or str(error)
    return "no error"


@test("a job is cancelled, and the model is left")
def _():
    gate = Gate()
    job = client.submit(f"hold {gate.word}", api_name="/predict")
    gate.reached()
    until(lambda: job.status().code in (Status.PROCESSING, Status.ITERATING, Status.PROGRESS))
    job.cancel()
    gate.left()
    # Which of the two it hears first, that it gave up or that the run ended, is the client's affair.
    try:
        job.result(timeout=20)
    except concurrent.futures.CancelledError:
        return True
    except Exception as error:
        return "was cancelled" in str(error) or repr(error)
    return "it has a result"


@test("the place in the queue is told, and a full queue is refused")
def _():
    tiny, gate = connect(TINY_URL), Gate()
    first = tiny.submit(f"hold {gate.word}", api_name="/predict")
    gate.reached()
    second = tiny.submit("hello", api_name="/predict")
    until(lambda: second.status().code == Status.IN_QUEUE)
    status = second.status()
    try:
        tiny.predict("hello", api_name="/predict")
        refused = None
    except QueueError as error:
        refused = error
    full = httpx.post(f"{TINY_URL}/api/predict", json={"data": ["hello"]})
    gate.open()
    answers = first.result(timeout=60), second.result(timeout=60)
    holds = refused and full.status_code == 429 and (status.rank, status.queue_size) == (0, 1)
    return holds and answers == ("Held and let go.", "Hello from Martlet.") or (refused, full, status, answers)


@test("a person is waited for")
def _():
    job = client.submit("careful", api_name="/caller")
    question = until(lambda: httpx.get(f"{URL}/api/v1/approvals").json()["approvals"])[0]
    until(lambda: any(question["id"] in text for text in job.outputs()))
    httpx.post(f"{URL}/api/v1/approvals/{question['id']}", json={"decision": "approve"}).raise_for_status()
    return "Seen:" in job.result(timeout=60) and "42" in job.result() or job.result()


@test("a file is uploaded and comes along")
def _():
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "table.csv"
        file.write_text("a,b\n1,2\n")
        answer = client.predict({"text": "hello", "files": [handle_file(str(file))]}, api_name="/predict")
    kept = httpx.get(f"{URL}/api/v1/files").json()["files"]
    stored = httpx.get(f"{URL}/gradio_api/file={kept[0]['id']}")
    return (answer, kept[0]["name"], stored.text) == ("Hello from Martlet.", "table.csv", "a,b\n1,2\n") or (answer, kept)


@test("a key is shown as a header or as a token")
def _():
    for options in ({"headers": {"Authorization": f"Bearer {KEY}"}}, {"token": KEY}, {"headers": {"x-api-key": KEY}}):
        answer = connect(KEYS_URL, **options).predict("hello", api_name="/predict")
        if answer != "Hello from Martlet.":
            return options, answer
    try:
        connect(KEYS_URL)
    except Exception as error:
        return type(error).__name__ == "AuthenticationError" or repr(error)
    return "nobody was let in"


@test("a call in two steps, as by curl")
def _():
    event = httpx.post(f"{URL}/gradio_api/call/predict", json={"data": ["hello"]}).json()["event_id"]
    told = httpx.get(f"{URL}/gradio_api/call/predict/{event}", timeout=60).text
    return 'event: complete\ndata: ["Hello from Martlet."]' in told or told


# The load test of the document `multi-user-chat.md`, but for the address and what is done with the responses.
async def test_concurrent_requests():
    async with httpx.AsyncClient(timeout=60.0) as client:
        tasks = []
        for i in range(5):
            task = client.post(
                f"{URL}/api/predict",
                json={"data": [{"text": f"Test query {i}", "files": []}, [], False]}
            )
            tasks.append(task)

        responses = await asyncio.gather(*tasks)
        for i, resp in enumerate(responses):
            print(f"Response {i}: {resp.status_code}")
        return responses


responses = asyncio.run(test_concurrent_requests())
answers = [response.json()["data"] for response in responses]
check("the load test gets five answers", answers == [[f"You said: Test query {i}"] for i in range(5)], answers)
finish()
