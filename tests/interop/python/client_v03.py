"""Drives an A2A agent through the official Python SDK 0.3: `client_v03.py URL BINDING VERSION WEBHOOK`.

Uses the SDK as an application would: resolver, factory, client, with the binding under test as the client's only one. It
speaks protocol 0.3 alone, so the version is an argument only because all drivers have the same.
"""

import asyncio
import base64
import sys
import uuid

import grpc
import httpx
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.client.errors import A2AClientHTTPError, A2AClientJSONRPCError
from a2a.types import (
    FileWithBytes,
    GetTaskPushNotificationConfigParams,
    Message,
    Part,
    PushNotificationConfig,
    Role,
    TaskArtifactUpdateEvent,
    TaskIdParams,
    TaskPushNotificationConfig,
    TaskQueryParams,
    TaskState,
    TaskStatusUpdateEvent,
    TextPart,
)

from scenario import (
    ANSWER,
    ASK,
    CHUNKS,
    HANG,
    HELLO,
    STREAM,
    TOKEN,
    UNKNOWN,
    WRITE_ANSWER,
    WRITE_HELLO,
    Absent,
    check,
    run,
)

NOT_FOUND = -32001

# Seconds after which a subscription is surely attached.
ATTACHED = 1


def message(text, *, task=None, context=None):
    """A user message with one text."""
    return Message(
        message_id=str(uuid.uuid4()),
        role=Role.user,
        parts=[Part(root=TextPart(text=text))],
        task_id=task,
        context_id=context,
    )


def texts(parts):
    """All text of some parts, files included."""
    words = []
    for part in parts:
        if part.root.kind == "text":
            words.append(part.root.text)
        elif part.root.kind == "file" and isinstance(part.root.file, FileWithBytes):
            words.append(base64.b64decode(part.root.file.bytes).decode(errors="replace"))
    return "".join(words)


def said(task):
    """Everything that a task says: its artifacts, its status, the agent's part of its history."""
    words = [texts(artifact.parts) for artifact in task.artifacts or []]
    if task.status.message:
        words.append(texts(task.status.message.parts))
    words += [texts(m.parts) for m in task.history or [] if m.role == Role.agent]
    return "\n".join(words)


def update_text(update):
    """The text that one event carries."""
    if isinstance(update, TaskArtifactUpdateEvent):
        return texts(update.artifact.parts)
    if isinstance(update, TaskStatusUpdateEvent) and update.status.message:
        return texts(update.status.message.parts)
    return ""


async def collect(stream):
    """The task as it was at each event of a stream."""
    return [task async for task, _ in stream]


class Driver:
    """One agent, over one binding."""

    def __init__(self, url, binding, version, webhook):
        self.url, self.binding, self.webhook = url, binding, webhook
        check(version == "0.3", "this SDK speaks 0.3 only")
        self.done = None

    async def discover(self):
        self.http = httpx.AsyncClient(timeout=30)
        card = await A2ACardResolver(self.http, self.url).get_agent_card()
        check(card.name, "the card has no name")
        check(card.capabilities.streaming, "the card does not offer streaming")

        def channel(url):
            # A 0.3 card writes a gRPC address as a URL; a channel wants host and port.
            return grpc.aio.insecure_channel(url.removeprefix("http://").rstrip("/"))

        def client(**more):
            config = ClientConfig(
                httpx_client=self.http,
                grpc_channel_factory=channel,
                supported_transports=[self.binding],
                **more,
            )
            return ClientFactory(config).create(card)

        self.unary = client(streaming=False)
        self.at_once = client(streaming=False, polling=True)
        self.stream = client(streaming=True)
        return card.name

    async def send(self, text, *, client=None, **more):
        """Sends without streaming; the task that comes back."""
        async for event in (client or self.unary).send_message(message(text, **more)):
            check(isinstance(event, tuple), f"the answer is no task but {type(event).__name__}")
            return event[0]
        raise AssertionError("no answer")

    async def op_send(self):
        task = await self.send(WRITE_HELLO)
        check(task.status.state == TaskState.completed, f"state {task.status.state}")
        check(HELLO in said(task), f"the echo is missing in {said(task)!r}")
        check(task.context_id, "the task has no contextId")
        self.done = task

    async def op_stream(self):
        text, updates, last = "", [], None
        async for task, update in self.stream.send_message(message(STREAM)):
            updates.append(update)
            text += update_text(update)
            last = task
        check(updates and updates[0] is None, "the stream does not begin with a task")
        check(last.status.state == TaskState.completed, f"the stream ends in {last.status.state}")
        check(getattr(updates[-1], "final", False), "the last event is not final")
        # In order; an agent may say all of it once more at the end.
        at = 0
        for number in range(1, CHUNKS + 1):
            at = text.find(f"chunk {number}", at)
            check(at >= 0, f"chunk {number} is missing or out of order in {text!r}")
        return f"{len(updates)} events"

    async def op_get(self):
        check(self.done, "there is no task: send failed")
        task = await self.unary.get_task(TaskQueryParams(id=self.done.id))
        check(task.id == self.done.id, "another task came back")
        check(task.status.state == TaskState.completed, f"state {task.status.state}")

    async def op_list(self):
        raise Absent("0.3 has no list")

    async def op_error(self):
        try:
            await self.unary.get_task(TaskQueryParams(id=UNKNOWN))
        except A2AClientJSONRPCError as error:
            check(error.error.code == NOT_FOUND, f"code {error.error.code}")
            return
        except A2AClientHTTPError as error:
            check(error.status_code == 404, f"status {error.status_code}")
            return
        except grpc.aio.AioRpcError as error:
            check(error.code() == grpc.StatusCode.NOT_FOUND, f"status {error.code()}")
            return
        raise AssertionError("an unknown task was found")

    async def op_cancel(self):
        stream = self.stream.send_message(message(HANG))
        task, update = await anext(stream)
        check(update is None, "the stream does not begin with a task")
        cancelled = await self.unary.cancel_task(TaskIdParams(id=task.id))
        check(
            cancelled.status.state == TaskState.canceled,
            f"cancel answers state {cancelled.status.state}",
        )
        states = [task.status.state async for task, _ in stream]
        check(states[-1:] == [TaskState.canceled], f"the stream ends with {states[-1:]}")

    async def op_input(self):
        task = await self.send(ASK)
        check(task.status.state == TaskState.input_required, f"state {task.status.state}")
        check("colour" in said(task), f"the question is missing in {said(task)!r}")
        after = await self.send(WRITE_ANSWER, task=task.id, context=task.context_id)
        check(after.id == task.id, "the answer went to another task")
        check(after.status.state == TaskState.completed, f"state {after.status.state}")
        check(ANSWER in said(after), f"the answer is missing in {said(after)!r}")

    async def op_subscribe(self):
        task = await self.send(HANG, client=self.at_once)
        # A 0.3 server need not begin with the task, so the first event is no sign of being attached.
        events = asyncio.create_task(collect(self.stream.resubscribe(TaskIdParams(id=task.id))))
        await asyncio.wait([events], timeout=ATTACHED)
        await self.unary.cancel_task(TaskIdParams(id=task.id))
        tasks = await events
        check(all(seen.id == task.id for seen in tasks), "it is another task")
        states = [seen.status.state for seen in tasks]
        check(states[-1:] == [TaskState.canceled], f"the stream ends with {states[-1:]}")

    async def op_push(self):
        task = await self.send(ASK)
        made = await self.unary.set_task_callback(
            TaskPushNotificationConfig(
                task_id=task.id,
                push_notification_config=PushNotificationConfig(
                    id="one", url=self.webhook, token=TOKEN
                ),
            )
        )
        url = made.push_notification_config.url
        check(url == self.webhook, f"it was made with url {url}")
        got = await self.unary.get_task_callback(
            GetTaskPushNotificationConfigParams(id=task.id, push_notification_config_id="one")
        )
        url = got.push_notification_config.url
        check(url == self.webhook, f"it has url {url}")
        # The turn after this is what the webhook is told about.
        await self.send(WRITE_ANSWER, task=task.id, context=task.context_id)
        return task.id


async def main():
    driver = Driver(*sys.argv[1:5])
    await run(
        [
            ("card", driver.discover),
            ("send", driver.op_send),
            ("stream", driver.op_stream),
            ("get", driver.op_get),
            ("list", driver.op_list),
            ("error", driver.op_error),
            ("cancel", driver.op_cancel),
            ("input", driver.op_input),
            ("subscribe", driver.op_subscribe),
            ("push", driver.op_push),
        ]
    )


asyncio.run(main())
