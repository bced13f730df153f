"""Drives an A2A agent through the official Python SDK 1.x: `client_v1.py URL BINDING VERSION WEBHOOK`.

Uses the SDK as an application would: resolver, factory, client. The card's interfaces are narrowed to the binding and the
version under test, because the factory otherwise takes the first that it likes.
"""

import asyncio
import sys
import uuid

import grpc
import httpx
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.types import (
    CancelTaskRequest,
    DeleteTaskPushNotificationConfigRequest,
    GetTaskPushNotificationConfigRequest,
    GetTaskRequest,
    ListTaskPushNotificationConfigsRequest,
    ListTasksRequest,
    Message,
    MethodNotFoundError,
    Part,
    Role,
    SendMessageConfiguration,
    SendMessageRequest,
    SubscribeToTaskRequest,
    TaskNotFoundError,
    TaskPushNotificationConfig,
    TaskState,
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


def request(text, *, task=None, context=None, at_once=False):
    """A user message with one text."""
    message = Message(
        message_id=str(uuid.uuid4()),
        role=Role.ROLE_USER,
        parts=[Part(text=text)],
        task_id=task or "",
        context_id=context or "",
    )
    return SendMessageRequest(
        message=message, configuration=SendMessageConfiguration(return_immediately=at_once)
    )


def texts(parts):
    """All text of some parts, files included."""
    return "".join(part.text or part.raw.decode(errors="replace") for part in parts)


def said(task):
    """Everything that a task says: its artifacts, its status, the agent's part of its history."""
    words = [texts(artifact.parts) for artifact in task.artifacts]
    words.append(texts(task.status.message.parts))
    words += [texts(m.parts) for m in task.history if m.role == Role.ROLE_AGENT]
    return "\n".join(words)


def event_text(event):
    """The text that one event carries."""
    kind = event.WhichOneof("payload")
    if kind == "artifact_update":
        return texts(event.artifact_update.artifact.parts)
    if kind == "status_update":
        return texts(event.status_update.status.message.parts)
    if kind == "message":
        return texts(event.message.parts)
    return ""


def event_state(event):
    """The state that one event carries, if it does."""
    kind = event.WhichOneof("payload")
    if kind == "task":
        return event.task.status.state
    if kind == "status_update":
        return event.status_update.status.state
    return None


class Driver:
    """One agent, over one binding and version."""

    def __init__(self, url, binding, version, webhook):
        self.url, self.binding, self.version, self.webhook = url, binding, version, webhook
        self.done = None

    async def discover(self):
        self.http = httpx.AsyncClient(timeout=30)
        card = await A2ACardResolver(self.http, self.url).get_agent_card()
        check(card.name, "the card has no name")
        check(card.capabilities.streaming, "the card does not offer streaming")
        chosen = [
            i
            for i in card.supported_interfaces
            if i.protocol_binding == self.binding and i.protocol_version.startswith(self.version)
        ]
        check(chosen, f"the card offers no {self.binding} {self.version}")
        del card.supported_interfaces[:]
        card.supported_interfaces.extend(chosen)

        def channel(url):
            # A 0.3 card writes a gRPC address as a URL; a channel wants host and port.
            return grpc.aio.insecure_channel(url.removeprefix("http://").rstrip("/"))

        made = []
        for streaming in (False, True):
            config = ClientConfig(
                streaming=streaming,
                httpx_client=self.http,
                grpc_channel_factory=channel,
                supported_protocol_bindings=[self.binding],
            )
            made.append(ClientFactory(config).create(card))
        self.unary, self.stream = made
        return card.name

    async def send(self, text, **more):
        """Sends without streaming; the task that comes back."""
        async for event in self.unary.send_message(request(text, **more)):
            check(event.HasField("task"), f"the answer is no task but {event.WhichOneof('payload')}")
            return event.task
        raise AssertionError("no answer")

    async def op_send(self):
        task = await self.send(WRITE_HELLO)
        check(task.status.state == TaskState.TASK_STATE_COMPLETED, f"state {task.status.state}")
        check(HELLO in said(task), f"the echo is missing in {said(task)!r}")
        check(task.context_id, "the task has no contextId")
        self.done = task

    async def op_stream(self):
        text, states, kinds = "", [], []
        async for event in self.stream.send_message(request(STREAM)):
            kinds.append(event.WhichOneof("payload"))
            text += event_text(event)
            if (state := event_state(event)) is not None:
                states.append(state)
        check(kinds[:1] == ["task"], f"the stream begins with {kinds[:1]}")
        check(states[-1] == TaskState.TASK_STATE_COMPLETED, f"the stream ends in state {states[-1]}")
        # In order; an agent may say all of it once more at the end.
        at = 0
        for number in range(1, CHUNKS + 1):
            at = text.find(f"chunk {number}", at)
            check(at >= 0, f"chunk {number} is missing or out of order in {text!r}")
        return f"{len(kinds)} events"

    async def op_get(self):
        check(self.done, "there is no task: send failed")
        task = await self.unary.get_task(GetTaskRequest(id=self.done.id))
        check(task.id == self.done.id, "another task came back")
        check(task.status.state == TaskState.TASK_STATE_COMPLETED, f"state {task.status.state}")

    async def op_list(self):
        if self.version == "0.3":
            raise Absent("0.3 has no list")
        check(self.done, "there is no task: send failed")
        page = await self.unary.list_tasks(ListTasksRequest(context_id=self.done.context_id))
        check([t.id for t in page.tasks] == [self.done.id], f"listed {[t.id for t in page.tasks]}")
        check(page.total_size == 1, f"totalSize {page.total_size}")

    async def op_error(self):
        try:
            await self.unary.get_task(GetTaskRequest(id=UNKNOWN))
        except TaskNotFoundError:
            return
        except MethodNotFoundError:
            # The SDK's 0.3 REST transport reads every 404 as this one.
            check(self.version == "0.3" and self.binding == "HTTP+JSON", "it is a missing method")
            return
        raise AssertionError("an unknown task was found")

    async def op_cancel(self):
        stream = self.stream.send_message(request(HANG))
        first = await anext(stream)
        check(first.HasField("task"), f"the stream begins with {first.WhichOneof('payload')}")
        cancelled = await self.unary.cancel_task(CancelTaskRequest(id=first.task.id))
        check(
            cancelled.status.state == TaskState.TASK_STATE_CANCELED,
            f"cancel answers state {cancelled.status.state}",
        )
        states = [s async for e in stream if (s := event_state(e)) is not None]
        check(states[-1:] == [TaskState.TASK_STATE_CANCELED], f"the stream ends with {states[-1:]}")

    async def op_input(self):
        task = await self.send(ASK)
        check(
            task.status.state == TaskState.TASK_STATE_INPUT_REQUIRED, f"state {task.status.state}"
        )
        check("colour" in said(task), f"the question is missing in {said(task)!r}")
        after = await self.send(WRITE_ANSWER, task=task.id, context=task.context_id)
        check(after.id == task.id, "the answer went to another task")
        check(after.status.state == TaskState.TASK_STATE_COMPLETED, f"state {after.status.state}")
        check(ANSWER in said(after), f"the answer is missing in {said(after)!r}")

    async def op_subscribe(self):
        task = await self.send(HANG, at_once=True)
        stream = self.stream.subscribe(SubscribeToTaskRequest(id=task.id))
        first = await anext(stream)
        check(first.WhichOneof("payload") == "task", f"it begins with {first.WhichOneof('payload')}")
        check(first.task.id == task.id, "it is another task")
        await self.unary.cancel_task(CancelTaskRequest(id=task.id))
        states = [s async for e in stream if (s := event_state(e)) is not None]
        check(states[-1:] == [TaskState.TASK_STATE_CANCELED], f"the stream ends with {states[-1:]}")

    async def op_push(self):
        task = await self.send(ASK)
        made = await self.unary.create_task_push_notification_config(
            TaskPushNotificationConfig(task_id=task.id, id="one", url=self.webhook, token=TOKEN)
        )
        check(made.url == self.webhook, f"it was made with url {made.url}")
        where = {"task_id": task.id, "id": made.id}
        got = await self.unary.get_task_push_notification_config(
            GetTaskPushNotificationConfigRequest(**where)
        )
        check(got.url == self.webhook, f"it has url {got.url}")
        if self.version == "0.3" and self.binding == "HTTP+JSON":
            # The SDK's 0.3 REST transport can neither list nor delete.
            await self.send(WRITE_ANSWER, task=task.id, context=task.context_id)
            return task.id
        listed = await self.unary.list_task_push_notification_configs(
            ListTaskPushNotificationConfigsRequest(task_id=task.id)
        )
        check([c.id for c in listed.configs] == [made.id], f"listed {[c.id for c in listed.configs]}")
        await self.unary.create_task_push_notification_config(
            TaskPushNotificationConfig(task_id=task.id, id="two", url=self.webhook + "/two")
        )
        await self.unary.delete_task_push_notification_config(
            DeleteTaskPushNotificationConfigRequest(task_id=task.id, id="two")
        )
        listed = await self.unary.list_task_push_notification_configs(
            ListTaskPushNotificationConfigsRequest(task_id=task.id)
        )
        check([c.id for c in listed.configs] == [made.id], f"listed {[c.id for c in listed.configs]}")
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
