"""An echo agent behind the official Python SDK 0.3's own server: protocol 0.3 over all three bindings.

`server_v03.py` binds free ports on loopback, prints `{"url": …}` and serves until it is killed.
"""

import asyncio
import json
import socket

import grpc
import httpx
import uvicorn
from a2a.grpc import a2a_pb2_grpc
from a2a.server.agent_execution import AgentExecutor
from a2a.server.apps import A2ARESTFastAPIApplication, A2AStarletteApplication
from a2a.server.request_handlers import DefaultRequestHandler, GrpcHandler
from a2a.server.tasks import (
    BasePushNotificationSender,
    InMemoryPushNotificationConfigStore,
    InMemoryTaskStore,
    TaskUpdater,
)
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill, Part, TextPart
from a2a.utils import new_task

from scenario import BULK, parse_directive


def text_part(text):
    """A part with one text."""
    return Part(root=TextPart(text=text))


class Echo(AgentExecutor):
    """Says what it is told, or does what a directive asks for."""

    def __init__(self):
        # What runs now: a task's id, and the two signals that stop it and say that it stopped.
        self.running = {}

    async def execute(self, context, event_queue):
        task = context.current_task
        if task is None:
            task = new_task(context.message)
            await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, task.id, task.context_id)
        await updater.start_work()
        directive, rest = parse_directive(context.get_user_input())
        match directive:
            case "hang":
                stop, stopped = asyncio.Event(), asyncio.Event()
                self.running[task.id] = (stop, stopped)
                await stop.wait()
                await updater.cancel()
                stopped.set()
                return
            case "input":
                question = updater.new_agent_message([text_part(rest)])
                await updater.requires_input(question, final=True)
                return
            case "spam":
                await self.chunks(updater, [f"chunk {n}\n" for n in range(1, int(rest) + 1)])
            case "chunks":
                await self.chunks(updater, [BULK] * int(rest))
            case _:
                await self.chunks(updater, [rest])
        await updater.complete()

    async def chunks(self, updater, texts):
        """One artifact, a chunk for each text."""
        for number, text in enumerate(texts):
            await updater.add_artifact(
                [text_part(text)],
                artifact_id="echo",
                name="echo",
                append=number > 0,
                last_chunk=number + 1 == len(texts),
            )

    async def cancel(self, context, event_queue):
        # The queue given here reaches the caller of cancel only; the streams of the task hang on the one of `execute`.
        if signals := self.running.pop(context.task_id, None):
            stop, stopped = signals
            stop.set()
            await stopped.wait()
        else:
            await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


def card(url, grpc_address):
    """The card: JSON-RPC first, the other two as additional interfaces."""
    return AgentCard(
        name="python-v03",
        description="Echoes what it is told.",
        version="1.0.0",
        protocol_version="0.3.0",
        url=url + "/",
        preferred_transport="JSONRPC",
        additional_interfaces=[
            AgentInterface(url=url + "/", transport="JSONRPC"),
            AgentInterface(url=url + "/rest", transport="HTTP+JSON"),
            AgentInterface(url=grpc_address, transport="GRPC"),
        ],
        capabilities=AgentCapabilities(streaming=True, push_notifications=True),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[AgentSkill(id="echo", name="Echo", description="Echoes.", tags=["echo"])],
    )


async def main():
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    grpc_server = grpc.aio.server()
    grpc_port = grpc_server.add_insecure_port("127.0.0.1:0")
    agent_card = card(url, f"127.0.0.1:{grpc_port}")
    configs = InMemoryPushNotificationConfigStore()
    handler = DefaultRequestHandler(
        agent_executor=Echo(),
        task_store=InMemoryTaskStore(),
        push_config_store=configs,
        push_sender=BasePushNotificationSender(httpx.AsyncClient(), configs),
    )
    a2a_pb2_grpc.add_A2AServiceServicer_to_server(GrpcHandler(agent_card, handler), grpc_server)
    await grpc_server.start()
    app = A2AStarletteApplication(agent_card=agent_card, http_handler=handler).build()
    rest = A2ARESTFastAPIApplication(agent_card=agent_card, http_handler=handler).build()
    app.mount("/rest", rest)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    print(json.dumps({"url": url}), flush=True)
    await server.serve(sockets=[listener])


asyncio.run(main())
