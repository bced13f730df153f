// Package scenario is what the driver and the server of this folder agree on: the texts, the limits, and how a result is
// told. The same scenario as in the other languages' folders; see ../../README.md. Knows no SDK.
package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// The texts of the scenario.
const (
	Chunks  = 5
	Ask     = "input Which colour?"
	Hang    = "hang"
	Unknown = "00000000-0000-7000-8000-000000000000"
	Token   = "interop-token"
)

// Hello and Answer are new with each run: an agent with a workspace tells of what changed in it. Everybody else echoes the
// whole text.
var (
	Hello       = fmt.Sprintf("hello %d", time.Now().UnixNano())
	WriteHello  = "write hello.txt " + Hello
	Answer      = fmt.Sprintf("blue %d", time.Now().UnixNano())
	WriteAnswer = "write answer.txt " + Answer
)

// Stream asks for chunks.
var Stream = fmt.Sprintf("spam %d", Chunks)

// Bulk is one chunk of the directive that the benches use.
var Bulk = strings.Repeat("0123456789abcdef", 4)

// limit is for one operation. The slowest one starts a real agent process and stops it again.
const limit = 30 * time.Second

// AbsentError says that the SDK has no such operation, and what is missing.
type AbsentError string

func (e AbsentError) Error() string { return string(e) }

// Operation is one line of the table.
type Operation struct {
	Name string
	Run  func(ctx context.Context) (string, error)
}

type result struct {
	Op     string `json:"op"`
	OK     *bool  `json:"ok"`
	Detail string `json:"detail"`
}

// Run runs each operation in turn, each within its limit, and tells how it went; without the first, the card, there is no
// second.
func Run(operations []Operation) {
	out := json.NewEncoder(os.Stdout)
	for number, operation := range operations {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		detail, err := operation.Run(ctx)
		late := ctx.Err() != nil
		cancel()
		ok := err == nil
		line := result{Op: operation.Name, OK: &ok, Detail: detail}
		var absent AbsentError
		switch {
		case errors.As(err, &absent):
			line.OK, line.Detail = nil, string(absent)
		case err != nil && late:
			line.Detail = fmt.Sprintf("no answer within %s (%v)", limit, err)
		case err != nil:
			line.Detail = err.Error()
		}
		if err := out.Encode(line); err != nil {
			os.Exit(1)
		}
		if number == 0 && !ok {
			return
		}
	}
}

// Directive splits what a test says into a directive and the rest; a text without a directive is an echo.
func Directive(text string) (string, string) {
	word, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	switch word {
	case "spam", "chunks", "input", "hang":
		return word, rest
	default:
		return "echo", text
	}
}
