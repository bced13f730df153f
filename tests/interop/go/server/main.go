// An echo agent behind the official Go SDK's own server: all three bindings, 1.0 and (by its compatibility layer) 0.3.
//
// `server` binds free ports on loopback, prints `{"url": …}` and serves until it is killed. JSON-RPC and REST share a port;
// gRPC has its own, for the SDK's gRPC server cannot share one.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2acompat/a2av0"
	grpcv0 "github.com/a2aproject/a2a-go/v2/a2agrpc/v0"
	grpcv1 "github.com/a2aproject/a2a-go/v2/a2agrpc/v1"
	"github.com/a2aproject/a2a-go/v2/a2asrv"
	"github.com/a2aproject/a2a-go/v2/a2asrv/push"
	"github.com/a2aproject/a2a-go/v2/a2asrv/taskstore"
	"google.golang.org/grpc"

	"interop/scenario"
)

// echo says what it is told, or does what a directive asks for.
type echo struct{}

func (echo) Execute(ctx context.Context, turn *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		if turn.StoredTask == nil && !yield(a2a.NewSubmittedTask(turn, turn.Message), nil) {
			return
		}
		if !yield(a2a.NewStatusUpdateEvent(turn, a2a.TaskStateWorking, nil), nil) {
			return
		}
		var input strings.Builder
		for _, part := range turn.Message.Parts {
			input.WriteString(part.Text())
		}
		directive, rest := scenario.Directive(input.String())
		count, _ := strconv.Atoi(rest)
		say := func(int) string { return rest }
		switch directive {
		case "hang":
			<-ctx.Done()
			return
		case "input":
			question := a2a.NewMessageForTask(a2a.MessageRoleAgent, turn, a2a.NewTextPart(rest))
			yield(a2a.NewStatusUpdateEvent(turn, a2a.TaskStateInputRequired, question), nil)
			return
		case "spam":
			say = func(number int) string { return fmt.Sprintf("chunk %d\n", number) }
		case "chunks":
			say = func(int) string { return scenario.Bulk }
		default:
			count = 1
		}
		for number := 1; number <= count; number++ {
			event := a2a.NewArtifactUpdateEvent(turn, "echo", a2a.NewTextPart(say(number)))
			event.Append, event.LastChunk = number > 1, number == count
			if !yield(event, nil) {
				return
			}
		}
		yield(a2a.NewStatusUpdateEvent(turn, a2a.TaskStateCompleted, nil), nil)
	}
}

func (echo) Cancel(_ context.Context, turn *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		yield(a2a.NewStatusUpdateEvent(turn, a2a.TaskStateCanceled, nil), nil)
	}
}

func card(url, grpcAddress string) *a2a.AgentCard {
	var interfaces []*a2a.AgentInterface
	for _, version := range []a2a.ProtocolVersion{a2a.Version, a2av0.Version} {
		paths := map[a2a.ProtocolVersion][2]string{
			a2a.Version:   {"/jsonrpc", "/rest"},
			a2av0.Version: {"/jsonrpc-0.3", "/rest-0.3"},
		}[version]
		interfaces = append(interfaces,
			&a2a.AgentInterface{URL: url + paths[0], ProtocolBinding: a2a.TransportProtocolJSONRPC, ProtocolVersion: version},
			&a2a.AgentInterface{URL: url + paths[1], ProtocolBinding: a2a.TransportProtocolHTTPJSON, ProtocolVersion: version},
			&a2a.AgentInterface{URL: grpcAddress, ProtocolBinding: a2a.TransportProtocolGRPC, ProtocolVersion: version},
		)
	}
	return &a2a.AgentCard{
		Name:                "go",
		Description:         "Echoes what it is told.",
		Version:             "1.0.0",
		SupportedInterfaces: interfaces,
		Capabilities:        a2a.AgentCapabilities{Streaming: true, PushNotifications: true},
		DefaultInputModes:   []string{"text/plain"},
		DefaultOutputModes:  []string{"text/plain"},
		Skills:              []a2a.AgentSkill{{ID: "echo", Name: "Echo", Description: "Echoes.", Tags: []string{"echo"}}},
	}
}

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	grpcListener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	url := "http://" + listener.Addr().String()
	agentCard := card(url, grpcListener.Addr().String())
	handler := a2asrv.NewHandler(echo{},
		a2asrv.WithCapabilityChecks(&agentCard.Capabilities),
		// The store lists the tasks of a caller, and here all callers are one.
		a2asrv.WithTaskStore(taskstore.NewInMemory(&taskstore.InMemoryStoreConfig{
			Authenticator: func(context.Context) (string, error) { return "anybody", nil },
		})),
		a2asrv.WithPushNotifications(push.NewInMemoryStore(), push.NewHTTPPushSender(nil)),
	)
	grpcServer := grpc.NewServer()
	grpcv1.NewHandler(handler).RegisterWith(grpcServer)
	grpcv0.NewHandler(handler).RegisterWith(grpcServer)
	mux := http.NewServeMux()
	mux.Handle("/.well-known/agent-card.json", a2asrv.NewAgentCardHandler(a2av0.NewStaticAgentCardProducer(agentCard)))
	mux.Handle("/jsonrpc", a2asrv.NewJSONRPCHandler(handler))
	mux.Handle("/jsonrpc-0.3", a2av0.NewJSONRPCHandler(handler))
	mux.Handle("/rest/", http.StripPrefix("/rest", a2asrv.NewRESTHandler(handler)))
	mux.Handle("/rest-0.3/", http.StripPrefix("/rest-0.3", a2av0.NewRESTHandler(handler)))
	if err := json.NewEncoder(os.Stdout).Encode(map[string]string{"url": url}); err != nil {
		return err
	}
	failed := make(chan error, 2)
	go func() { failed <- grpcServer.Serve(grpcListener) }()
	go func() { failed <- http.Serve(listener, mux) }()
	return <-failed
}
