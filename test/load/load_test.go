package load

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// fast is a load that gathers enough in a fraction of a second.
func fast() Options {
	return Options{Seed: 1, Rate: 2000, Timeout: 2 * time.Second, Keys: 4, KeyLife: 20, Drain: 20 * time.Second}
}

func start(t *testing.T, s *server, options Options) *Run {
	t.Helper()
	run, err := Start(t.Context(), s.config(), options)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// until waits for a condition on what the run has seen so far.
func until(t *testing.T, run *Run, what string, condition func(*journal) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		run.journal.mu.Lock()
		met := condition(run.journal)
		run.journal.mu.Unlock()
		if met {
			return
		}
		select {
		case <-ctx.Done():
			run.Stop()
			t.Fatalf("after 20s still waiting for %s", what)
		case <-tick.C:
		}
	}
}

func requests(n int) func(*journal) bool {
	return func(j *journal) bool { return len(j.requests) >= n }
}

func failuresOf(verb Verb, n int) func(*journal) bool {
	return func(j *journal) bool {
		count := 0
		for _, q := range j.requests {
			if q.verb == verb && q.err != nil {
				count++
			}
		}
		return count >= n
	}
}

func TestHealthyServer(t *testing.T) {
	s := newServer(t)
	run := start(t, s, fast())
	run.Mark("nothing happens")
	until(t, run, "800 requests", requests(800))
	if err := run.Settle(t.Context(), 50*time.Millisecond); err != nil {
		t.Error(err)
	}
	report := run.Stop()
	if err := report.Flawless(); err != nil {
		t.Error(err)
	}
	for _, verb := range []Verb{Create, Update, Get, Delete, list} {
		if report.Verbs[verb].Requests == 0 {
			t.Errorf("no %s among %d requests", verb, report.Requests)
		}
	}
	if report.Histories.Keys < 10 || report.Histories.Operations < 400 {
		t.Errorf("keys are replaced and operations recorded, got %+v", report.Histories)
	}
	if report.Marks[0].Failed != 0 || report.Marks[0].WritesBackSeconds != 0 {
		t.Errorf("no failure after the mark, got %+v", report.Marks)
	}
	if s.remaining() != 0 || report.CleanupError != "" {
		t.Errorf("%d ConfigMaps are left over, cleanup error %q", s.remaining(), report.CleanupError)
	}
}

func TestServerErrorsAreFailures(t *testing.T) {
	s := newServer(t)
	run := start(t, s, fast())
	until(t, run, "100 requests", requests(100))
	run.Mark("fault")
	s.set(func(s *server) {
		s.misbehave = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Query().Get("watch") != "" {
				return false
			}
			w.WriteHeader(http.StatusInternalServerError)
			return true
		}
	})
	// Each of the 12 workers may have had one under way when the mark was made.
	until(t, run, "a failed create that started after the mark", failuresOf(Create, 13))
	s.set(func(s *server) { s.misbehave = nil })
	if err := run.Settle(t.Context(), 50*time.Millisecond); err != nil {
		t.Error(err)
	}
	report := run.Stop()
	if report.Failed == 0 || !strings.Contains(report.Failures[0].Error, "status 500") {
		t.Errorf("status 500 is a failed request, got %v", report.Failures)
	}
	if report.Marks[0].WritesBackSeconds <= 0 {
		t.Error("writes failed after the mark, so they took some time to be back")
	}
	if err := report.Consistent(); err != nil {
		t.Errorf("a failed write is unknown, not lost: %v", err)
	}
}

func TestLostWriteIsFound(t *testing.T) {
	s := newServer(t)
	// Some losses do not show: of a key that is deleted next, or never touched again.
	s.lose = func(writes int) bool { return writes%5 == 0 }
	run := start(t, s, fast())
	until(t, run, "600 requests", requests(600))
	report := run.Stop()
	if len(report.Histories.Violations) == 0 {
		t.Error("every fifth write was acknowledged and thrown away, and no history shows it")
	}
}

func TestMissedEventIsFound(t *testing.T) {
	s := newServer(t)
	s.hide = func(revision int64) bool { return revision == 20 }
	run := start(t, s, fast())
	until(t, run, "300 requests", requests(300))
	report := run.Stop()
	if len(report.BrokenWatches) == 0 {
		t.Error("no watch delivered the event of revision 20, and no check shows it")
	}
}

func TestGoneIsAFailure(t *testing.T) {
	s := newServer(t)
	var asked atomic.Int64
	s.misbehave = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("watch") == "" || asked.Add(1) > 1 {
			return false
		}
		w.WriteHeader(http.StatusGone)
		return true
	}
	run := start(t, s, fast())
	until(t, run, "a failed watch", failuresOf(watchVerb, 1))
	report := run.Stop()
	if report.Verbs[watchVerb].Failed != 1 || report.Flawless() == nil {
		t.Errorf("410 Gone is a failed watch, got %+v", report.Verbs[watchVerb])
	}
}

func TestWatchThatEndsCleanlyResumes(t *testing.T) {
	s := newServer(t)
	ends := make(chan struct{}, 6)
	s.misbehave = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("watch") == "" {
			return false
		}
		select {
		case ends <- struct{}{}:
			w.WriteHeader(http.StatusOK)
			return true
		default:
			return false
		}
	}
	run := start(t, s, fast())
	until(t, run, "300 requests", requests(300))
	report := run.Stop()
	if err := report.Flawless(); err != nil {
		t.Errorf("a watch that ends and resumes without a missed event is no failure: %v", err)
	}
	if report.Verbs[watchVerb].Requests != 6 {
		t.Errorf("6 watches ended, the report has %d", report.Verbs[watchVerb].Requests)
	}
}

func TestHangingServerTimesOut(t *testing.T) {
	s := newServer(t)
	options := fast()
	options.Timeout = 300 * time.Millisecond
	run := start(t, s, options)
	until(t, run, "100 requests", requests(100))
	hang := func(_ http.ResponseWriter, r *http.Request) bool {
		<-r.Context().Done()
		return true
	}
	s.set(func(s *server) { s.misbehave = hang })
	until(t, run, "a create that timed out", failuresOf(Create, 1))
	s.set(func(s *server) { s.misbehave = nil })
	if err := run.Settle(t.Context(), 50*time.Millisecond); err != nil {
		t.Errorf("clients come back after a timeout: %v", err)
	}
	report := run.Stop()
	if err := report.Consistent(); err != nil {
		t.Error(err)
	}
	for _, failure := range report.Failures {
		if failure.TookSeconds > 1.5 {
			t.Errorf("a request with a timeout of 300ms took %.1fs", failure.TookSeconds)
		}
	}
}

func TestBrokenConnectionsAreFailures(t *testing.T) {
	s := newServer(t)
	run := start(t, s, fast())
	until(t, run, "100 requests", requests(100))
	s.CloseClientConnections()
	until(t, run, "broken watches", failuresOf(watchVerb, 1))
	if err := run.Settle(t.Context(), 200*time.Millisecond); err != nil {
		t.Errorf("clients connect again: %v", err)
	}
	report := run.Stop()
	if err := report.Consistent(); err != nil {
		t.Errorf("watches resume after a broken connection: %v", err)
	}
}

// TestFrozenConnectionIsNoticed freezes the path to the server: connections stay open and nothing
// comes through, as behind a process that was stopped.
func TestFrozenConnectionIsNoticed(t *testing.T) {
	s := newServer(t)
	path := newPath(t, s.Listener.Addr().String())
	config := s.config()
	config.Host = "https://" + path.listener.Addr().String()
	options := fast()
	options.Timeout = 300 * time.Millisecond
	run, err := Start(t.Context(), config, options)
	if err != nil {
		t.Fatal(err)
	}
	until(t, run, "100 requests", requests(100))
	path.frozen.Store(true)
	until(t, run, "a watch that noticed", failuresOf(watchVerb, 1))
	path.frozen.Store(false)
	if err := run.Settle(t.Context(), 200*time.Millisecond); err != nil {
		t.Errorf("clients connect again: %v", err)
	}
	report := run.Stop()
	if err := report.Consistent(); err != nil {
		t.Error(err)
	}
}

func TestStartFailsWhenNothingAnswers(t *testing.T) {
	s := newServer(t)
	config := s.config()
	s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := Start(ctx, config, fast()); err == nil || !strings.Contains(err.Error(), "did not answer") {
		t.Errorf("want an error that says that the API server did not answer, got %v", err)
	}
}
