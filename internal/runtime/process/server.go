package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
)

// serve answers clients until ctx is done.
func (s *Supervisor) serve(ctx context.Context) error {
	listener, err := listen(s.dir)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: s.routes(), ReadHeaderTimeout: 10 * time.Second}
	s.work.Go(func() {
		<-ctx.Done()
		_ = server.Close() // ends requests in flight: clients try again
	})
	s.log.Info("supervisor runs", "dir", s.dir, "guests", len(s.ids()))
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving: %w", err)
	}
	if err := os.Remove(filepath.Join(s.dir, socketFile)); err != nil {
		s.log.Warn("socket not removed", "error", err)
	}
	return nil
}

func (s *Supervisor) routes() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, answer func(r *http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { reply(w, r, answer) })
	}
	handle("GET /guests", func(*http.Request) (any, error) { return s.ids(), nil })
	handle("GET /guests/{id}", func(r *http.Request) (any, error) { return s.observe(r.PathValue("id")), nil })
	handle("PUT /guests/{id}", func(r *http.Request) (any, error) {
		var m controlplane.Manifest
		if err := decode(r, &m); err != nil {
			return nil, err
		}
		return nil, s.apply(r.Context(), &m)
	})
	handle("DELETE /guests/{id}", func(r *http.Request) (any, error) { return nil, s.delete(r.Context(), r.PathValue("id")) })
	handle("PUT /guests/{id}/addresses", func(r *http.Request) (any, error) {
		var names []string
		if err := decode(r, &names); err != nil {
			return nil, err
		}
		if err := checkName("guest id", r.PathValue("id")); err != nil {
			return nil, err
		}
		return s.addresses.reserve(r.PathValue("id"), names, s.log)
	})
	handle("POST /guests/{id}/components/{component}/discard", func(r *http.Request) (any, error) {
		return nil, s.discard(r.Context(), r.PathValue("id"), r.PathValue("component"))
	})
	handle("PUT /drills", func(r *http.Request) (any, error) {
		var drills []v1alpha1.Drill
		if err := decode(r, &drills); err != nil {
			return nil, err
		}
		return nil, s.hold(r.Context(), drills)
	})
	handle("GET /capacity", func(*http.Request) (any, error) { return s.capacity() })
	handle("POST /stop", func(r *http.Request) (any, error) { return nil, s.stop(r.Context()) })
	handle("POST /resume", func(r *http.Request) (any, error) { return nil, s.resume(r.Context()) })
	mux.HandleFunc("GET /watch", s.watch)
	return mux
}

func decode(r *http.Request, v any) error {
	if err := json.NewDecoder(r.Body).Decode(v); err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	return nil
}

func reply(w http.ResponseWriter, r *http.Request, answer func(r *http.Request) (any, error)) {
	value, err := answer(r)
	if errors.Is(err, context.Canceled) {
		return // nobody listens any more
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value) // fails only when the client has gone
}

// watch streams the ids of guests that change, one JSON string a line.
func (s *Supervisor) watch(w http.ResponseWriter, r *http.Request) {
	watcher, stop := s.changes.watch(s.ids)
	defer stop()
	control, lines := http.NewResponseController(w), json.NewEncoder(w)
	for {
		for _, id := range watcher.take() {
			if lines.Encode(id) != nil {
				return
			}
		}
		if control.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-watcher.signal:
		}
	}
}
