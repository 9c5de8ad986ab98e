package mix

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/client-go/rest"

	"github.com/myriad-fleet/myriad/test/load/mix/plan"
)

// server answers requests by what a test says, and remembers them.
type server struct {
	*httptest.Server
	mu     sync.Mutex
	asked  []string
	answer func(method, path string) (int, string)
}

func serve(t *testing.T, answer func(method, path string) (int, string)) *server {
	t.Helper()
	s := &server{answer: answer}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked = append(s.asked, r.Method+" "+r.URL.Path)
		status, body := s.answer(r.Method, r.URL.Path)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body)) // the client may be gone
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// worker that talks to the server.
func (s *server) worker(t *testing.T) *worker {
	t.Helper()
	record := newRecorder()
	c, err := newClient(&rest.Config{Host: s.URL}, loopback, rate.NewLimiter(rate.Inf, 1), record)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.idle)
	return &worker{scope: plan.Scope{Seed: 1}, client: c, record: record}
}

func create(kind plan.Kind) plan.Operation {
	return plan.Operation{Action: plan.Create, Object: plan.Object{Population: plan.Population{Kind: kind}}}
}

func TestWorkerInsists(t *testing.T) {
	refusals := 2
	s := serve(t, func(string, string) (int, string) {
		if refusals--; refusals >= 0 {
			return http.StatusTooManyRequests, ""
		}
		return http.StatusCreated, "{}"
	})
	w := s.worker(t)
	w.do(t.Context(), create(plan.ConfigMaps))
	report := w.record.result()
	if report.Made[plan.ConfigMaps] != 1 || report.Throttled != 2 || report.Failed != 0 {
		t.Errorf("refused twice with 429, then not: %+v", report)
	}
}

func TestWorkerGivesUp(t *testing.T) {
	s := serve(t, func(string, string) (int, string) { return http.StatusForbidden, "no" })
	w := s.worker(t)
	w.do(t.Context(), create(plan.ConfigMaps))
	if report := w.record.result(); report.Requests != 1 || report.Failed != 1 || len(report.Made) != 0 {
		t.Errorf("what is forbidden once is asked for again, or counted as made: %+v", report)
	}
}

func TestContestantReadsWhatItLost(t *testing.T) {
	s := serve(t, func(method, _ string) (int, string) {
		if method == http.MethodPut {
			return http.StatusConflict, ""
		}
		return http.StatusOK, `{"metadata":{"resourceVersion":"77"}}`
	})
	w := s.worker(t)
	w.do(t.Context(), plan.Operation{Action: plan.Contest})
	if w.seen != "77" {
		t.Errorf("it saw version %q", w.seen)
	}
	if report := w.record.result(); report.Failed != 0 || report.Verbs[verbUpdate].Conflicts != 1 {
		t.Errorf("%+v", report)
	}
}

func TestNothingOfAnEndedRunIsCounted(t *testing.T) {
	s := serve(t, func(string, string) (int, string) { return http.StatusOK, "{}" })
	w := s.worker(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.do(ctx, create(plan.ConfigMaps))
	w.do(ctx, plan.Operation{Action: plan.Get, Object: plan.Object{Population: plan.Population{Kind: plan.Pods}}})
	if report := w.record.result(); report.Requests != 0 || len(s.requests()) != 0 {
		t.Errorf("a run that is over sent %v and counted %+v", s.requests(), report)
	}
}

func TestStartRefuses(t *testing.T) {
	foreign := serve(t, func(method, path string) (int, string) {
		if strings.HasPrefix(path, "/api/v1/namespaces/mix-1") && method == http.MethodGet {
			return http.StatusOK, `{"metadata":{"name":"mix-1"}}`
		}
		return http.StatusOK, `{"items":[]}`
	})
	mix := plan.Mix{Name: "short", Phases: []plan.Phase{{Name: "only"}}}
	mix.Phases[0].Duration.Duration = time.Second
	broken := mix
	broken.MaxRate = -1
	for _, c := range []struct {
		reason    string
		host      string
		mix       plan.Mix
		complains string
	}{
		{"an address that is not loopback", "https://192.0.2.1:6443", mix, "192.0.2.1 is no target for a load"},
		{"a mix out of bounds", foreign.URL, broken, "maxRate: -1 is out of bounds"},
		{"a namespace of somebody else", foreign.URL, mix, "no load generator made it: choose another seed"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		_, err := Start(ctx, &rest.Config{Host: c.host}, Options{Mix: c.mix, Seed: 1})
		cancel()
		if err == nil || !strings.Contains(err.Error(), c.complains) {
			t.Errorf("%s: %v", c.reason, err)
		}
	}
	for _, asked := range foreign.requests() {
		if !strings.HasPrefix(asked, http.MethodGet) {
			t.Errorf("a refused run sent %s", asked)
		}
	}
}
