package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// errGone says that the API server has forgotten the revision that a watch wanted to go on from.
var errGone = errors.New("410 Gone: the watch cannot go on from its last resourceVersion")

// watch follows the run's ConfigMaps on its own connection and goes on from its last revision
// whenever it ends.
type watch struct {
	run    *Run
	index  int
	client *client

	mu       sync.Mutex
	segments []Segment
}

// follow watches until ctx is done.
func (w *watch) follow(ctx context.Context) {
	defer func() { w.client.transport.CloseIdleConnections() }()
	for ctx.Err() == nil {
		err := w.once(ctx)
		if ctx.Err() != nil {
			return
		}
		ended := w.run.journal.now()
		w.run.journal.request(Operation{Process: w.index, Verb: watchVerb, Call: ended, Return: ended}, err)
		if errors.Is(err, errGone) {
			w.restart(ctx)
		}
		if err != nil {
			pause(ctx)
		}
	}
}

// once runs one watch request to its end. A clean end is no error.
func (w *watch) once(ctx context.Context) error {
	request, err := w.client.request(ctx, http.MethodGet, "", watchQuery(w.run.selector, w.reached()), nil)
	if err != nil {
		return err
	}
	response, err := w.client.round.RoundTrip(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode == http.StatusGone {
		return errGone
	}
	if response.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(response.Body, 200)) // only makes the message fuller
		return unexpected(answer{status: response.StatusCode, body: body})
	}
	decoder := json.NewDecoder(response.Body)
	for {
		var event metav1.WatchEvent
		switch err := decoder.Decode(&event); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("watch broke: %w", err)
		}
		if err := w.take(event); err != nil {
			return err
		}
	}
}

func (w *watch) take(event metav1.WatchEvent) error {
	if event.Type == "ERROR" {
		var status metav1.Status
		if err := json.Unmarshal(event.Object.Raw, &status); err == nil && status.Code == http.StatusGone {
			return errGone
		}
		return fmt.Errorf("watch got an error: %.200s", event.Object.Raw)
	}
	var object corev1.ConfigMap
	if err := json.Unmarshal(event.Object.Raw, &object); err != nil {
		return fmt.Errorf("reading a watch event: %w", err)
	}
	revision, err := strconv.ParseInt(object.ResourceVersion, 10, 64)
	if err != nil {
		return fmt.Errorf("reading a watch event's resourceVersion: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	segment := &w.segments[len(w.segments)-1]
	if event.Type != "BOOKMARK" {
		segment.Events = append(segment.Events, Event{Type: event.Type, Key: object.Name, Value: object.Data[dataKey], Revision: revision})
	}
	segment.Until = max(segment.Until, revision)
	return nil
}

// restart begins a new segment at the present revision.
func (w *watch) restart(ctx context.Context) {
	_, revision, err := w.client.list(ctx, w.run.selector)
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.segments = append(w.segments, Segment{From: revision, Until: revision})
}

// reached returns the last revision that the watch has seen.
func (w *watch) reached() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.segments[len(w.segments)-1].Until
}

// pause waits a moment before a failed watch is tried again.
func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(100 * time.Millisecond):
	}
}

// watchQuery asks for the events after a revision.
func watchQuery(selector string, revision int64) url.Values {
	return url.Values{
		"watch":               {"true"},
		"allowWatchBookmarks": {"true"},
		"labelSelector":       {selector},
		"resourceVersion":     {strconv.FormatInt(revision, 10)},
	}
}
