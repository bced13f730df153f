// Drives an A2A agent through the official JavaScript SDK: `client.js URL BINDING VERSION WEBHOOK`.
//
// Uses the SDK as an application would: resolver, factory, client. The card's interfaces are narrowed to the binding and the
// version under test, because the factory otherwise takes the first that it likes.

import { randomUUID } from 'node:crypto';
import { Role, SendMessageRequest, TaskPushNotificationConfig, TaskState } from '@a2a-js/sdk';
import {
  ClientFactory,
  DefaultAgentCardResolver,
  JsonRpcTransportFactory,
  RestTransportFactory,
} from '@a2a-js/sdk/client';
import { GrpcTransportFactory } from '@a2a-js/sdk/client/grpc';
import { TaskNotFoundError } from '@a2a-js/sdk/errors';
import {
  ANSWER,
  ASK,
  Absent,
  CHUNKS,
  HANG,
  HELLO,
  STREAM,
  TOKEN,
  UNKNOWN,
  WRITE_ANSWER,
  WRITE_HELLO,
  check,
  run,
} from './scenario.js';

const [url, binding, version, webhook] = process.argv.slice(2);
const compat = { legacyCompat: { enabled: true } };
let client;
let done;

function request(text, { task = '', context = '', atOnce = false } = {}) {
  return SendMessageRequest.fromJSON({
    message: {
      messageId: randomUUID(),
      role: 'ROLE_USER',
      parts: [{ text }],
      taskId: task,
      contextId: context,
    },
    configuration: { returnImmediately: atOnce },
  });
}

/** All text of some parts, files included. */
const texts = (parts = []) =>
  parts
    .filter((part) => ['text', 'raw'].includes(part.content?.$case))
    .map((part) => part.content.value.toString())
    .join('');

/** Everything that a task says: its artifacts, its status, the agent's part of its history. */
function said(task) {
  const words = task.artifacts.map((artifact) => texts(artifact.parts));
  words.push(texts(task.status?.message?.parts));
  words.push(...task.history.filter((m) => m.role === Role.ROLE_AGENT).map((m) => texts(m.parts)));
  return words.join('\n');
}

function eventText({ payload }) {
  switch (payload?.$case) {
    case 'artifactUpdate':
      return texts(payload.value.artifact?.parts);
    case 'statusUpdate':
      return texts(payload.value.status?.message?.parts);
    case 'message':
      return texts(payload.value.parts);
    default:
      return '';
  }
}

function eventState({ payload }) {
  const carries = payload?.$case === 'task' || payload?.$case === 'statusUpdate';
  return carries ? payload.value.status?.state : undefined;
}

async function send(text, more) {
  const answer = await client.sendMessage(request(text, more));
  check(answer.status, 'the answer is no task');
  return answer;
}

function wants(task, state) {
  check(task.status?.state === state, `state ${task.status?.state}`);
}

async function discover() {
  const card = await new DefaultAgentCardResolver(compat).resolve(url);
  check(card.name, 'the card has no name');
  check(card.capabilities?.streaming, 'the card does not offer streaming');
  const chosen = card.supportedInterfaces.filter(
    (i) => i.protocolBinding === binding && i.protocolVersion.startsWith(version),
  );
  check(chosen.length > 0, `the card offers no ${binding} ${version}`);
  card.supportedInterfaces = chosen;
  const factory = new ClientFactory({
    transports: [
      new JsonRpcTransportFactory(compat),
      new RestTransportFactory(compat),
      new GrpcTransportFactory(compat),
    ],
    preferredTransports: [binding],
  });
  client = await factory.createFromAgentCard(card);
  return card.name;
}

async function opSend() {
  const task = await send(WRITE_HELLO);
  wants(task, TaskState.TASK_STATE_COMPLETED);
  check(said(task).includes(HELLO), `the echo is missing in ${said(task)}`);
  check(task.contextId, 'the task has no contextId');
  done = task;
}

async function opStream() {
  let text = '';
  const kinds = [];
  const states = [];
  for await (const event of client.sendMessageStream(request(STREAM))) {
    kinds.push(event.payload?.$case);
    text += eventText(event);
    const state = eventState(event);
    if (state !== undefined) states.push(state);
  }
  check(kinds[0] === 'task', `the stream begins with ${kinds[0]}`);
  check(states.at(-1) === TaskState.TASK_STATE_COMPLETED, `the stream ends in ${states.at(-1)}`);
  // In order; an agent may say all of it once more at the end.
  let at = 0;
  for (let number = 1; number <= CHUNKS; number += 1) {
    at = text.indexOf(`chunk ${number}`, at);
    check(at >= 0, `chunk ${number} is missing or out of order in ${text}`);
  }
  return `${kinds.length} events`;
}

async function opGet() {
  check(done, 'there is no task: send failed');
  const task = await client.getTask({ tenant: '', id: done.id });
  check(task.id === done.id, 'another task came back');
  wants(task, TaskState.TASK_STATE_COMPLETED);
}

async function opList() {
  if (version === '0.3') throw new Absent('0.3 has no list');
  check(done, 'there is no task: send failed');
  const page = await client.listTasks({
    tenant: '',
    contextId: done.contextId,
    status: TaskState.TASK_STATE_UNSPECIFIED,
    pageToken: '',
  });
  const ids = page.tasks.map((task) => task.id);
  check(ids.length === 1 && ids[0] === done.id, `listed ${ids}`);
  check(page.totalSize === 1, `totalSize ${page.totalSize}`);
}

async function opError() {
  try {
    await client.getTask({ tenant: '', id: UNKNOWN });
  } catch (error) {
    if (error instanceof TaskNotFoundError) return;
    throw error;
  }
  throw new Error('an unknown task was found');
}

const cancel = (id) => client.cancelTask({ tenant: '', id, metadata: undefined });

async function lastState(stream) {
  let last;
  for await (const event of stream) last = eventState(event) ?? last;
  return last;
}

async function opCancel() {
  const stream = client.sendMessageStream(request(HANG));
  const first = (await stream.next()).value;
  check(first?.payload?.$case === 'task', `the stream begins with ${first?.payload?.$case}`);
  const rest = lastState(stream);
  const cancelled = await cancel(first.payload.value.id);
  wants(cancelled, TaskState.TASK_STATE_CANCELED);
  const last = await rest;
  check(last === TaskState.TASK_STATE_CANCELED, `the stream ends in ${last}`);
}

async function opInput() {
  const task = await send(ASK);
  wants(task, TaskState.TASK_STATE_INPUT_REQUIRED);
  check(said(task).includes('colour'), `the question is missing in ${said(task)}`);
  const after = await send(WRITE_ANSWER, { task: task.id, context: task.contextId });
  check(after.id === task.id, 'the answer went to another task');
  wants(after, TaskState.TASK_STATE_COMPLETED);
  check(said(after).includes(ANSWER), `the answer is missing in ${said(after)}`);
}

async function opSubscribe() {
  const task = await send(HANG, { atOnce: true });
  const stream = client.resubscribeTask({ tenant: '', id: task.id });
  const first = (await stream.next()).value;
  check(first?.payload?.$case === 'task', `it begins with ${first?.payload?.$case}`);
  check(first.payload.value.id === task.id, 'it is another task');
  const rest = lastState(stream);
  await cancel(task.id);
  const last = await rest;
  check(last === TaskState.TASK_STATE_CANCELED, `the stream ends in ${last}`);
}

const config = (taskId, id, place) =>
  TaskPushNotificationConfig.fromJSON({ taskId, id, url: place, token: TOKEN });

async function opPush() {
  const task = await send(ASK);
  const made = await client.createTaskPushNotificationConfig(config(task.id, 'one', webhook));
  check(made.url === webhook, `it was made with url ${made.url}`);
  const where = { tenant: '', taskId: task.id, id: made.id };
  const got = await client.getTaskPushNotificationConfig(where);
  check(got.url === webhook, `it has url ${got.url}`);
  const all = { tenant: '', taskId: task.id, pageSize: 0, pageToken: '' };
  const one = async () => {
    const listed = (await client.listTaskPushNotificationConfig(all)).configs.map((c) => c.id);
    check(listed.length === 1 && listed[0] === made.id, `listed ${listed}`);
  };
  await one();
  await client.createTaskPushNotificationConfig(config(task.id, 'two', `${webhook}/two`));
  await client.deleteTaskPushNotificationConfig({ ...where, id: 'two' });
  await one();
  // The turn after this is what the webhook is told about.
  await send(WRITE_ANSWER, { task: task.id, context: task.contextId });
  return task.id;
}

await run([
  ['card', discover],
  ['send', opSend],
  ['stream', opStream],
  ['get', opGet],
  ['list', opList],
  ['error', opError],
  ['cancel', opCancel],
  ['input', opInput],
  ['subscribe', opSubscribe],
  ['push', opPush],
]);
// An operation that ran out of time may still hold a connection open.
process.exit(0);
