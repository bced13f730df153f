"""An echo agent behind the official Python SDK 1.x's own server: all three bindings, 1.0 and (by its compatibility layer) 0.3.

`server_v1.py` binds free ports on loopback, prints `{"url": …}` and serves until it is killed. JSON-RPC and REST share a
port; gRPC has its own, for the SDK's gRPC server cannot share one.
"""

import asyncio
import json
import socket

import grpc
import httpx
import uvicorn
from a2a.compat.v0_3 import a2a_v0_3_pb2_grpc
from a2a.compat.v0_3.grpc_handler import CompatGrpcHandler
from a2a.helpers.proto_helpers import new_task_from_user_message
from a2a.server.agent_execution import AgentExecutor
from a2a.server.request_handlers import DefaultRequestHandler, GrpcHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes, create_rest_routes
from a2a.server.tasks import (
    BasePushNotificationSender,
    InMemoryPushNotificationConfigStore,
    InMemoryTaskStore,
    TaskUpdater,
)
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill, Part, a2a_pb2_grpc
from starlette.applications import Starlette

from scenario import BULK, parse_directive


class Echo(AgentExecutor):
    """Says what it is told, or does what a directive asks for."""

    async def execute(self, context, event_queue):
        task = context.current_task
        if task is None:
            task = new_task_from_user_message(context.message)
            await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, task.id, task.context_id)
        await updater.start_work()
        directive, rest = parse_directive(context.get_user_input())
        match directive:
            case "hang":
                await asyncio.Event().wait()
            case "input":
                question = updater.new_agent_message([Part(text=rest)])
                await updater.requires_input(question)
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
                [Part(text=text)],
                artifact_id="echo",
                name="echo",
                append=number > 0,
                last_chunk=number + 1 == len(texts),
            )

    async def cancel(self, context, event_queue):
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


def card(url, grpc_address):
    """The card: three bindings, two versions."""
    places = [("JSONRPC", url + "/"), ("HTTP+JSON", url), ("GRPC", grpc_address)]
    return AgentCard(
        name="python-v1",
        description="Echoes what it is told.",
        version="1.0.0",
        supported_interfaces=[
            AgentInterface(url=place, protocol_binding=binding, protocol_version=version)
            for version in ("1.0", "0.3")
            for binding, place in places
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
        agent_card=agent_card,
        push_config_store=configs,
        push_sender=BasePushNotificationSender(httpx.AsyncClient(), configs),
    )
    a2a_pb2_grpc.add_A2AServiceServicer_to_server(GrpcHandler(handler), grpc_server)
    a2a_v0_3_pb2_grpc.add_A2AServiceServicer_to_server(CompatGrpcHandler(handler), grpc_server)
    await grpc_server.start()
    routes = create_agent_card_routes(agent_card)
    routes += create_jsonrpc_routes(handler, rpc_url="/", enable_v0_3_compat=True)
    routes += create_rest_routes(handler, enable_v0_3_compat=True)
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), log_level="warning"))
    print(json.dumps({"url": url}), flush=True)
    await server.serve(sockets=[listener])


asyncio.run(main())
