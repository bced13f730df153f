// An echo agent behind the official JavaScript SDK's own server: all three bindings, 1.0 and (by its compatibility layer) 0.3.
//
// `server.js` binds free ports on loopback, prints `{"url": …}` and serves until it is killed. JSON-RPC and REST share a
// port; gRPC has its own, for the SDK's gRPC server cannot share one.

import { randomUUID } from 'node:crypto';
import { AgentCard, Task, TaskArtifactUpdateEvent, TaskStatusUpdateEvent } from '@a2a-js/sdk';
import { LegacyA2AService, legacyGrpcService } from '@a2a-js/sdk/compat/v0_3/server/grpc';
import { createLegacyAwarePushNotificationSender } from '@a2a-js/sdk/compat/v0_3/server';
import {
  AgentEvent,
  DefaultExecutionEventBusManager,
  DefaultRequestHandler,
  InMemoryPushNotificationStore,
  InMemoryTaskStore,
} from '@a2a-js/sdk/server';
import { UserBuilder, agentCardHandler, jsonRpcHandler, restHandler } from '@a2a-js/sdk/server/express';
import { A2AService, grpcService } from '@a2a-js/sdk/server/grpc';
import grpc from '@grpc/grpc-js';
import express from 'express';
import { BULK, parseDirective } from './scenario.js';

const now = () => new Date().toISOString();

/** Says what it is told, or does what a directive asks for. */
class Echo {
  // What runs now: a task's id, and what lets its turn go on when the task is cancelled.
  running = new Map();

  async execute(context, bus) {
    const { taskId, contextId } = context;
    const say = (state, text) => bus.publish(status(taskId, contextId, state, text));
    const first = context.task ?? {
      id: taskId,
      contextId,
      status: { state: 'TASK_STATE_SUBMITTED', timestamp: now() },
    };
    bus.publish(AgentEvent.task(context.task ? first : Task.fromJSON(first)));
    say('TASK_STATE_WORKING');
    const input = context.userMessage.parts.map((part) => part.content?.value ?? '').join('\n');
    const [directive, rest] = parseDirective(input);
    const chunks = (all) =>
      all.forEach((text, index) =>
        bus.publish(chunk(taskId, contextId, text, index > 0, index + 1 === all.length)),
      );
    switch (directive) {
      case 'hang':
        await new Promise((resolve) => {
          this.running.set(taskId, resolve);
        });
        say('TASK_STATE_CANCELED');
        return;
      case 'input':
        say('TASK_STATE_INPUT_REQUIRED', rest);
        return;
      case 'spam':
        chunks(Array.from({ length: Number(rest) }, (_, index) => `chunk ${index + 1}\n`));
        break;
      case 'chunks':
        chunks(Array(Number(rest)).fill(BULK));
        break;
      default:
        chunks([rest]);
    }
    say('TASK_STATE_COMPLETED');
  }

  async cancelTask(taskId, bus) {
    const stop = this.running.get(taskId);
    this.running.delete(taskId);
    if (stop) stop();
    else bus.publish(status(taskId, '', 'TASK_STATE_CANCELED'));
  }
}

function status(taskId, contextId, state, text) {
  const message = text && {
    messageId: randomUUID(),
    taskId,
    contextId,
    role: 'ROLE_AGENT',
    parts: [{ text }],
  };
  const event = { taskId, contextId, status: { state, message, timestamp: now() } };
  return AgentEvent.statusUpdate(TaskStatusUpdateEvent.fromJSON(event));
}

function chunk(taskId, contextId, text, append, lastChunk) {
  const artifact = { artifactId: 'echo', name: 'echo', parts: [{ text }] };
  const event = { taskId, contextId, artifact, append, lastChunk };
  return AgentEvent.artifactUpdate(TaskArtifactUpdateEvent.fromJSON(event));
}

function card(url, grpcAddress) {
  const places = [
    ['JSONRPC', `${url}/jsonrpc`],
    ['HTTP+JSON', `${url}/rest`],
    ['GRPC', grpcAddress],
  ];
  return AgentCard.fromJSON({
    name: 'js',
    description: 'Echoes what it is told.',
    version: '1.0.0',
    supportedInterfaces: ['1.0', '0.3'].flatMap((protocolVersion) =>
      places.map(([protocolBinding, place]) => ({ url: place, protocolBinding, protocolVersion })),
    ),
    capabilities: { streaming: true, pushNotifications: true },
    defaultInputModes: ['text/plain'],
    defaultOutputModes: ['text/plain'],
    skills: [{ id: 'echo', name: 'Echo', description: 'Echoes.', tags: ['echo'] }],
  });
}

const app = express();
const listener = await new Promise((resolve) => {
  const server = app.listen(0, '127.0.0.1', () => resolve(server));
});
const url = `http://127.0.0.1:${listener.address().port}`;
const grpcServer = new grpc.Server();
const grpcPort = await new Promise((resolve, reject) => {
  const credentials = grpc.ServerCredentials.createInsecure();
  grpcServer.bindAsync('127.0.0.1:0', credentials, (error, port) =>
    error ? reject(error) : resolve(port),
  );
});
const configs = new InMemoryPushNotificationStore();
const requestHandler = new DefaultRequestHandler(
  card(url, `127.0.0.1:${grpcPort}`),
  new InMemoryTaskStore(),
  new Echo(),
  new DefaultExecutionEventBusManager(),
  configs,
  createLegacyAwarePushNotificationSender(configs),
);
const options = {
  requestHandler,
  userBuilder: UserBuilder.noAuthentication,
  legacyCompat: { enabled: true },
};
grpcServer.addService(A2AService, grpcService(options));
grpcServer.addService(LegacyA2AService, legacyGrpcService(options));
app.use('/.well-known/agent-card.json', agentCardHandler({ ...options, agentCardProvider: requestHandler }));
app.use('/jsonrpc', jsonRpcHandler(options));
app.use('/rest', restHandler(options));
process.stdout.write(`${JSON.stringify({ url })}\n`);
