// Drives an A2A agent through the official Go SDK: `client URL BINDING VERSION WEBHOOK`.
//
// Uses the SDK as an application would: resolver, factory, client. The card's interfaces are narrowed to the binding and the
// version under test, because the factory otherwise takes the newest that it can speak.
package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2aclient"
	"github.com/a2aproject/a2a-go/v2/a2aclient/agentcard"
	"github.com/a2aproject/a2a-go/v2/a2acompat/a2av0"
	grpcv0 "github.com/a2aproject/a2a-go/v2/a2agrpc/v0"
	grpcv1 "github.com/a2aproject/a2a-go/v2/a2agrpc/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"interop/scenario"
)

// attached is the time after which a subscription is surely attached.
const attached = time.Second

type driver struct {
	url, binding, version, webhook string

	client *a2aclient.Client
	done   *a2a.Task
}

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: client URL BINDING VERSION WEBHOOK")
		os.Exit(2)
	}
	d := &driver{url: os.Args[1], binding: os.Args[2], version: os.Args[3], webhook: os.Args[4]}
	scenario.Run([]scenario.Operation{
		{Name: "card", Run: d.discover},
		{Name: "send", Run: d.send},
		{Name: "stream", Run: d.stream},
		{Name: "get", Run: d.get},
		{Name: "list", Run: d.list},
		{Name: "error", Run: d.unknown},
		{Name: "cancel", Run: d.cancel},
		{Name: "input", Run: d.input},
		{Name: "subscribe", Run: d.subscribe},
		{Name: "push", Run: d.push},
	})
}

func (d *driver) discover(ctx context.Context) (string, error) {
	resolver := agentcard.NewResolver(http.DefaultClient)
	resolver.CardParser = a2av0.NewAgentCardParser()
	card, err := resolver.Resolve(ctx, d.url)
	if err != nil {
		return "", err
	}
	if card.Name == "" || !card.Capabilities.Streaming {
		return "", fmt.Errorf("the card has no name or does not offer streaming")
	}
	card.SupportedInterfaces = slices.DeleteFunc(card.SupportedInterfaces, func(i *a2a.AgentInterface) bool {
		return string(i.ProtocolBinding) != d.binding || !strings.HasPrefix(string(i.ProtocolVersion), d.version)
	})
	if len(card.SupportedInterfaces) == 0 {
		return "", fmt.Errorf("the card offers no %s %s", d.binding, d.version)
	}
	credentials := grpc.WithTransportCredentials(insecure.NewCredentials())
	d.client, err = a2aclient.NewFromCard(ctx, card,
		grpcv1.WithGRPCTransport(credentials),
		grpcv0.WithGRPCTransport(credentials),
		a2av0.WithJSONRPCTransport(a2av0.JSONRPCTransportConfig{}),
		a2av0.WithRESTTransport(a2av0.RESTTransportConfig{}),
	)
	return card.Name, err
}

// request is a user message with one text, for a task or a new one.
func request(text string, task *a2a.Task) *a2a.SendMessageRequest {
	message := a2a.NewMessage(a2a.MessageRoleUser, a2a.NewTextPart(text))
	if task != nil {
		message.TaskID, message.ContextID = task.ID, task.ContextID
	}
	return &a2a.SendMessageRequest{Message: message}
}

// ask sends without streaming and wants a task in `state` back.
func (d *driver) ask(ctx context.Context, request *a2a.SendMessageRequest, state a2a.TaskState) (*a2a.Task, error) {
	answer, err := d.client.SendMessage(ctx, request)
	if err != nil {
		return nil, err
	}
	task, ok := answer.(*a2a.Task)
	if !ok {
		return nil, fmt.Errorf("the answer is no task but %T", answer)
	}
	if state != "" && task.Status.State != state {
		return nil, fmt.Errorf("state %s", task.Status.State)
	}
	return task, nil
}

// texts is all text of some parts, files included.
func texts(parts a2a.ContentParts) string {
	var all strings.Builder
	for _, part := range parts {
		all.WriteString(part.Text())
		all.Write(part.Raw())
	}
	return all.String()
}

// said is everything that a task says: its artifacts, its status, the agent's part of its history.
func said(task *a2a.Task) string {
	var words []string
	for _, artifact := range task.Artifacts {
		words = append(words, texts(artifact.Parts))
	}
	if task.Status.Message != nil {
		words = append(words, texts(task.Status.Message.Parts))
	}
	for _, message := range task.History {
		if message.Role == a2a.MessageRoleAgent {
			words = append(words, texts(message.Parts))
		}
	}
	return strings.Join(words, "\n")
}

// read is what one event says and which state it reports, if it does.
func read(event a2a.Event) (text string, state a2a.TaskState) {
	switch event := event.(type) {
	case *a2a.Task:
		state = event.Status.State
	case *a2a.TaskStatusUpdateEvent:
		state = event.Status.State
		if event.Status.Message != nil {
			text = texts(event.Status.Message.Parts)
		}
	case *a2a.TaskArtifactUpdateEvent:
		text = texts(event.Artifact.Parts)
	case *a2a.Message:
		text = texts(event.Parts)
	}
	return text, state
}

func (d *driver) send(ctx context.Context) (string, error) {
	task, err := d.ask(ctx, request(scenario.WriteHello, nil), a2a.TaskStateCompleted)
	if err != nil {
		return "", err
	}
	if !strings.Contains(said(task), scenario.Hello) || task.ContextID == "" {
		return "", fmt.Errorf("the echo or the contextId is missing in %q", said(task))
	}
	d.done = task
	return "", nil
}

func (d *driver) stream(ctx context.Context) (string, error) {
	var all strings.Builder
	var last a2a.TaskState
	count := 0
	for event, err := range d.client.SendStreamingMessage(ctx, request(scenario.Stream, nil)) {
		if err != nil {
			return "", err
		}
		if _, ok := event.(*a2a.Task); count == 0 && !ok {
			return "", fmt.Errorf("the stream begins with %T", event)
		}
		count++
		text, state := read(event)
		all.WriteString(text)
		if state != "" {
			last = state
		}
	}
	if last != a2a.TaskStateCompleted {
		return "", fmt.Errorf("the stream ends in state %s", last)
	}
	// In order; an agent may say all of it once more at the end.
	rest := all.String()
	for number := 1; number <= scenario.Chunks; number++ {
		_, after, found := strings.Cut(rest, fmt.Sprintf("chunk %d", number))
		if !found {
			return "", fmt.Errorf("chunk %d is missing or out of order in %q", number, all.String())
		}
		rest = after
	}
	return fmt.Sprintf("%d events", count), nil
}

func (d *driver) get(ctx context.Context) (string, error) {
	if d.done == nil {
		return "", errors.New("there is no task: send failed")
	}
	task, err := d.client.GetTask(ctx, &a2a.GetTaskRequest{ID: d.done.ID})
	if err != nil {
		return "", err
	}
	if task.ID != d.done.ID || task.Status.State != a2a.TaskStateCompleted {
		return "", fmt.Errorf("task %s in state %s", task.ID, task.Status.State)
	}
	return "", nil
}

func (d *driver) list(ctx context.Context) (string, error) {
	if d.version == "0.3" {
		return "", scenario.AbsentError("0.3 has no list")
	}
	if d.done == nil {
		return "", errors.New("there is no task: send failed")
	}
	page, err := d.client.ListTasks(ctx, &a2a.ListTasksRequest{ContextID: d.done.ContextID})
	if err != nil {
		return "", err
	}
	if len(page.Tasks) != 1 || page.Tasks[0].ID != d.done.ID || page.TotalSize != 1 {
		return "", fmt.Errorf("listed %d tasks, totalSize %d", len(page.Tasks), page.TotalSize)
	}
	return "", nil
}

func (d *driver) unknown(ctx context.Context) (string, error) {
	_, err := d.client.GetTask(ctx, &a2a.GetTaskRequest{ID: scenario.Unknown})
	if errors.Is(err, a2a.ErrTaskNotFound) {
		return "", nil
	}
	return "", fmt.Errorf("an unknown task gives: %v", err)
}

// events is a stream that is read in the background.
type events struct {
	first chan a2a.Event
	last  chan a2a.TaskState
	err   error
}

func follow(stream iter.Seq2[a2a.Event, error]) *events {
	e := &events{first: make(chan a2a.Event, 1), last: make(chan a2a.TaskState, 1)}
	go func() {
		var last a2a.TaskState
		begun := false
		for event, err := range stream {
			if err != nil {
				e.err = err
				break
			}
			if !begun {
				begun = true
				e.first <- event
			}
			if _, state := read(event); state != "" {
				last = state
			}
		}
		close(e.first)
		e.last <- last
	}()
	return e
}

// ends cancels the task and wants the stream to end with that.
func (d *driver) ends(ctx context.Context, id a2a.TaskID, stream *events) error {
	task, err := d.client.CancelTask(ctx, &a2a.CancelTaskRequest{ID: id})
	if err != nil {
		return err
	}
	if task.Status.State != a2a.TaskStateCanceled {
		return fmt.Errorf("cancel answers state %s", task.Status.State)
	}
	select {
	case last := <-stream.last:
		if last != a2a.TaskStateCanceled {
			return fmt.Errorf("the stream ends in state %s (%v)", last, stream.err)
		}
		return nil
	case <-ctx.Done():
		return errors.New("the stream does not end")
	}
}

func (d *driver) cancel(ctx context.Context) (string, error) {
	stream := follow(d.client.SendStreamingMessage(ctx, request(scenario.Hang, nil)))
	task, ok := (<-stream.first).(*a2a.Task)
	if !ok {
		return "", fmt.Errorf("the stream does not begin with a task: %v", stream.err)
	}
	return "", d.ends(ctx, task.ID, stream)
}

func (d *driver) input(ctx context.Context) (string, error) {
	task, err := d.ask(ctx, request(scenario.Ask, nil), a2a.TaskStateInputRequired)
	if err != nil {
		return "", err
	}
	if !strings.Contains(said(task), "colour") {
		return "", fmt.Errorf("the question is missing in %q", said(task))
	}
	after, err := d.ask(ctx, request(scenario.WriteAnswer, task), a2a.TaskStateCompleted)
	if err != nil {
		return "", err
	}
	if after.ID != task.ID || !strings.Contains(said(after), scenario.Answer) {
		return "", fmt.Errorf("the answer is missing in %q", said(after))
	}
	return "", nil
}

func (d *driver) subscribe(ctx context.Context) (string, error) {
	start := request(scenario.Hang, nil)
	start.Config = &a2a.SendMessageConfig{ReturnImmediately: true}
	task, err := d.ask(ctx, start, "")
	if err != nil {
		return "", err
	}
	stream := follow(d.client.SubscribeToTask(ctx, &a2a.SubscribeToTaskRequest{ID: task.ID}))
	select {
	case event := <-stream.first:
		if first, ok := event.(*a2a.Task); d.version != "0.3" && (!ok || first.ID != task.ID) {
			return "", fmt.Errorf("it begins with %T: %v", event, stream.err)
		}
	case <-time.After(attached):
		// A 0.3 server need not begin with the task, so the first event is no sign of being attached.
		if d.version != "0.3" {
			return "", errors.New("there is no first event")
		}
	}
	return "", d.ends(ctx, task.ID, stream)
}

func (d *driver) push(ctx context.Context) (string, error) {
	task, err := d.ask(ctx, request(scenario.Ask, nil), a2a.TaskStateInputRequired)
	if err != nil {
		return "", err
	}
	made, err := d.client.CreateTaskPushConfig(ctx, &a2a.CreateTaskPushConfigRequest{
		TaskID: task.ID,
		Config: a2a.PushConfig{ID: "one", URL: d.webhook, Token: scenario.Token},
	})
	if err != nil {
		return "", fmt.Errorf("create: %w", err)
	}
	id := made.Config.ID
	got, err := d.client.GetTaskPushConfig(ctx, &a2a.GetTaskPushConfigRequest{TaskID: task.ID, ID: id})
	if err != nil {
		return "", fmt.Errorf("get: %w", err)
	}
	if made.Config.URL != d.webhook || got.Config.URL != d.webhook {
		return "", fmt.Errorf("it was made with url %q and has url %q", made.Config.URL, got.Config.URL)
	}
	if err := d.lists(ctx, task.ID, id); err != nil {
		return "", err
	}
	_, err = d.client.CreateTaskPushConfig(ctx, &a2a.CreateTaskPushConfigRequest{
		TaskID: task.ID,
		Config: a2a.PushConfig{ID: "two", URL: d.webhook + "/two"},
	})
	if err != nil {
		return "", fmt.Errorf("create: %w", err)
	}
	if err := d.client.DeleteTaskPushConfig(ctx, &a2a.DeleteTaskPushConfigRequest{TaskID: task.ID, ID: "two"}); err != nil {
		return "", fmt.Errorf("delete: %w", err)
	}
	if err := d.lists(ctx, task.ID, id); err != nil {
		return "", err
	}
	// The turn after this is what the webhook is told about.
	_, err = d.ask(ctx, request(scenario.WriteAnswer, task), a2a.TaskStateCompleted)
	return string(task.ID), err
}

// lists wants the one config that is left.
func (d *driver) lists(ctx context.Context, task a2a.TaskID, id string) error {
	listed, err := d.client.ListTaskPushConfigs(ctx, &a2a.ListTaskPushConfigRequest{TaskID: task})
	if err != nil {
		return fmt.Errorf("list: %w", err)
	}
	if len(listed) != 1 || listed[0].Config.ID != id {
		return fmt.Errorf("listed %d configs", len(listed))
	}
	return nil
}
