package load

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// Verb of an operation.
type Verb string

// The verbs that histories are made of.
const (
	Create Verb = "create"
	Update Verb = "update"
	Get    Verb = "get"
	Delete Verb = "delete"

	// list and watchVerb are counted as requests; a list enters histories as one get per key.
	list      Verb = "list"
	watchVerb Verb = "watch"
)

// Write tells whether the verb changes state.
func (v Verb) Write() bool { return v == Create || v == Update || v == Delete }

// Result of an operation.
type Result string

// The results of an operation.
const (
	Done    Result = "done"    // carried out, or read
	Refused Result = "refused" // the state did not allow it: 404 or 409
	Unknown Result = "unknown" // it may have been carried out, or may yet be
)

// Operation is one call on one key and what came of it. Values are unique in a run, so a value also
// stands for the resourceVersion under which it was written.
type Operation struct {
	Process int    `json:"process"`
	Verb    Verb   `json:"verb"`
	Key     string `json:"key,omitempty"`
	// Value written or read.
	Value string `json:"value,omitempty"`
	// Base of an update: the value whose resourceVersion the update was conditional on.
	Base   string `json:"base,omitempty"`
	Result Result `json:"result"`
	// Revision that the API server gave the write; 0 where it said none.
	Revision int64 `json:"revision,omitempty"`
	// Call and Return since the start of the run.
	Call   time.Duration `json:"call"`
	Return time.Duration `json:"return"`
}

// String tells the operation in a line.
func (o Operation) String() string {
	text := fmt.Sprintf("%8.3fs–%8.3fs process %d: %s %s", o.Call.Seconds(), o.Return.Seconds(), o.Process, o.Verb, o.Key)
	if o.Base != "" {
		text += " " + o.Base + " →"
	}
	return text + " " + o.Value + ": " + string(o.Result)
}

// Verdict on the histories of a run.
type Verdict struct {
	// Keys and Operations that were checked.
	Keys       int `json:"keys"`
	Operations int `json:"operations"`
	// Violations holds, by key, the history of every key that is not linearizable.
	Violations map[string][]string `json:"violations,omitempty"`
	// Undecided keys took longer than the time allowed.
	Undecided []string `json:"undecided,omitempty"`
}

// Err is nil when every history was checked and found linearizable.
func (v Verdict) Err() error {
	for key, history := range v.Violations {
		return fmt.Errorf("%d of %d keys have no linearizable history, such as %s: %q", len(v.Violations), v.Keys, key, history)
	}
	if len(v.Undecided) > 0 {
		return fmt.Errorf("the histories of %d of %d keys took too long to check, such as that of %s", len(v.Undecided), v.Keys, v.Undecided[0])
	}
	return nil
}

// CheckHistories looks for an order of the operations on each key that explains every result and
// respects real time. Each key gets at most the given time.
func CheckHistories(operations []Operation, timeout time.Duration) Verdict {
	byKey := map[string][]Operation{}
	for _, op := range operations {
		byKey[op.Key] = append(byKey[op.Key], op)
	}
	verdict := Verdict{Keys: len(byKey), Operations: len(operations), Violations: map[string][]string{}}
	for key, history := range byKey {
		switch porcupine.CheckOperationsTimeout(register(), forPorcupine(history), timeout) {
		case porcupine.Ok:
		case porcupine.Illegal:
			verdict.Violations[key] = describe(history)
		case porcupine.Unknown:
			verdict.Undecided = append(verdict.Undecided, key)
		}
	}
	slices.Sort(verdict.Undecided)
	return verdict
}

func describe(history []Operation) []string {
	slices.SortFunc(history, func(a, b Operation) int { return int(a.Call - b.Call) })
	lines := make([]string, len(history))
	for i, op := range history {
		lines[i] = op.String()
	}
	return lines
}

// forPorcupine leaves writes with unknown outcome open to the end of time: they may take effect at
// any moment after their call, or after everything else, which is the same as never.
func forPorcupine(history []Operation) []porcupine.Operation {
	operations := make([]porcupine.Operation, len(history))
	for i, op := range history {
		end := int64(op.Return)
		if op.Result == Unknown {
			end = math.MaxInt64
		}
		operations[i] = porcupine.Operation{ClientId: op.Process, Input: op, Output: op.Result, Call: int64(op.Call), Return: end}
	}
	return operations
}

// register is the sequential model of one ConfigMap. The state is its value, "" when there is none.
func register() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return "" },
		Step: func(state, input, _ any) (bool, any) {
			value, ok := state.(string)
			op, isOperation := input.(Operation)
			if !ok || !isOperation {
				return false, state
			}
			return step(value, op)
		},
	}
}

// step tells whether an operation can have had its result in a state, and the state after it.
func step(state string, op Operation) (bool, string) {
	allowed, next := transition(state, op)
	switch {
	case op.Result == Unknown && allowed:
		return true, next
	case op.Result == Unknown:
		return true, state
	case op.Result == Refused:
		return !allowed, state
	default:
		return allowed, next
	}
}

// transition tells whether a state allows an operation, and the state that the operation leads to.
func transition(state string, op Operation) (allowed bool, next string) {
	switch op.Verb {
	case Create:
		return state == "", op.Value
	case Update:
		return state == op.Base, op.Value
	case Delete:
		return state != "", ""
	default: // Get
		return state != "" && (op.Result != Done || state == op.Value), state
	}
}
