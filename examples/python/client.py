"""Talk to a worker or a captain in the simple dialect. Python 3 standard library only.

    client.py URL MESSAGE [--token-file FILE] [--id TASK]

Prints the skills of the agent, then what it does as it does it, then the task as the server remembers it. When the
connection breaks it goes on exactly where it was: every event has a number, and the server keeps them all.
"""

import argparse
import json
import sys
import uuid
from http.client import HTTPException
from urllib.request import Request, urlopen

# A stream that breaks this often without a new event will not get better.
RETRIES = 5


class Client:
    """One agent."""

    def __init__(self, url, token=None):
        self.url = url.rstrip("/")
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def discover(self):
        """The agent card."""
        return json.load(self._open("/.well-known/agent.json"))

    def get_task(self, task_id):
        """The task as it is now."""
        return json.load(self._open(f"/tasks/{task_id}"))

    def send_task(self, task_id, text):
        """Send a message; yields (event name, data) until the task ends, over broken connections too."""
        body = {"id": task_id, "message": {"role": "user", "parts": [{"text": text}]}}
        stream, last, failures = self._open("/tasks/send", body, stream=True), None, 0
        while True:
            try:
                for number, event, data in events(stream):
                    last, failures = number, 0
                    yield event, data
                    if event == "task.status" and data["final"]:
                        return
            except (OSError, HTTPException):
                pass
            failures += 1
            if failures > RETRIES:
                raise ConnectionError(f"the stream of {task_id} keeps breaking")
            stream = self._open(f"/tasks/{task_id}", stream=True, last=last)

    def _open(self, path, body=None, stream=False, last=None):
        headers = dict(self.headers, Accept="text/event-stream" if stream else "application/json")
        if body is not None:
            headers["Content-Type"] = "application/json"
        if last is not None:
            headers["Last-Event-ID"] = last
        data = None if body is None else json.dumps(body).encode()
        return urlopen(Request(self.url + path, data, headers))


def events(stream):
    """The (id, event, data) of an event stream."""
    number, event, data = None, "message", []
    for raw in stream:
        field, _, value = raw.decode().rstrip("\r\n").partition(":")
        value = value.removeprefix(" ")
        if field == "id":
            number = value
        elif field == "event":
            event = value
        elif field == "data":
            data.append(value)
        elif not field and not value and data:
            yield number, event, json.loads("\n".join(data))
            event, data = "message", []


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("message")
    parser.add_argument("--token-file")
    parser.add_argument("--id", default=f"task-{uuid.uuid4()}")
    options = parser.parse_args()
    token = open(options.token_file).read().strip() if options.token_file else None
    client = Client(options.url, token)

    card = client.discover()
    print("skills:", ", ".join(skill["name"] for skill in card["skills"]))
    status = None
    for event, data in client.send_task(options.id, options.message):
        if event == "task.status":
            status = data["status"]
            print("status:", status, data.get("error") or "")
        elif event == "task.message":
            for part in data["parts"]:
                print(part.get("text", ""), end="", flush=True)
        elif event == "task.artifact":
            print("artifact:", data["name"])
    print("server says:", client.get_task(options.id)["status"]["state"])
    return 0 if status == "completed" else 1


if __name__ == "__main__":
    sys.exit(main())
