package load

import (
	"slices"
	"sync"
	"time"
)

// journal keeps what was sent and what came of it. Its clock starts with the run and is monotonic.
type journal struct {
	started time.Time

	mu         sync.Mutex
	requests   []record
	operations []Operation
	marks      []moment
}

// record of one request.
type record struct {
	verb      Verb
	key       string
	call, end time.Duration
	err       error
}

type moment struct {
	name string
	at   time.Duration
}

func (j *journal) now() time.Duration { return time.Since(j.started) }

func (j *journal) request(op Operation, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.requests = append(j.requests, record{verb: op.Verb, key: op.Key, call: op.Call, end: op.Return, err: err})
}

func (j *journal) operation(op Operation) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.operations = append(j.operations, op)
}

func (j *journal) mark(name string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.marks = append(j.marks, moment{name: name, at: j.now()})
}

// quietSince tells whether, after since, a stretch of the given length without failure has just
// passed, with a write in it that succeeded.
func (j *journal) quietSince(since, quiet time.Duration) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	from := j.now() - quiet
	if from < since {
		return false
	}
	wrote := false
	for i := len(j.requests) - 1; i >= 0 && j.requests[i].end >= from; i-- {
		if j.requests[i].err != nil {
			return false
		}
		wrote = wrote || j.requests[i].verb.Write()
	}
	return wrote
}

func (j *journal) lastFailure() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, request := range slices.Backward(j.requests) {
		if request.err != nil {
			return request.err.Error()
		}
	}
	return "none"
}
