package load

import (
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
)

// server is a small API server for ConfigMaps that can be told to misbehave.
type server struct {
	*httptest.Server

	mu       sync.Mutex
	revision int64
	objects  map[string]corev1.ConfigMap
	events   []metav1.WatchEvent // event i has revision i+2
	changed  chan struct{}
	writes   int

	// misbehave, when set, may answer a request in place of the server; it then returns true.
	misbehave func(w http.ResponseWriter, r *http.Request) bool
	// lose tells whether a write is acknowledged and not carried out; it gets their count.
	lose func(writes int) bool
	// hide tells whether watches do not deliver the event of a revision.
	hide func(revision int64) bool
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{revision: 1, objects: map[string]corev1.ConfigMap{}, changed: make(chan struct{})}
	s.Server = httptest.NewUnstartedServer(s)
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that give up connections are what is tested
	s.StartTLS()
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

func (s *server) config() *rest.Config {
	return &rest.Config{Host: s.URL, TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
}

// set changes how the server misbehaves while it runs.
func (s *server) set(change func(*server)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	misbehave := s.misbehave
	s.mu.Unlock()
	if misbehave != nil && misbehave(w, r) {
		return
	}
	name := strings.Trim(strings.TrimPrefix(r.URL.Path, "/api/v1/namespaces/default/configmaps"), "/")
	switch {
	case r.URL.Query().Get("watch") != "":
		s.watch(w, r)
	case r.Method == http.MethodGet && name == "":
		s.list(w)
	case r.Method == http.MethodDelete && name == "":
		s.deleteAll(w)
	case r.Method == http.MethodGet:
		s.get(w, name)
	default:
		s.write(w, r, name)
	}
}

func (s *server) write(w http.ResponseWriter, r *http.Request, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var object corev1.ConfigMap
	if r.Method != http.MethodDelete {
		if err := json.NewDecoder(r.Body).Decode(&object); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		name = object.Name
	}
	present, exists := s.objects[name]
	status, event := http.StatusOK, "MODIFIED"
	switch {
	case r.Method == http.MethodPost && exists:
		status = http.StatusConflict
	case r.Method == http.MethodPost:
		status, event = http.StatusCreated, "ADDED"
	case !exists:
		status = http.StatusNotFound
	case r.Method == http.MethodDelete:
		object, event = present, "DELETED"
	case object.ResourceVersion != present.ResourceVersion:
		status = http.StatusConflict
	}
	if status < 300 {
		s.store(&object, event)
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(object)
}

func (s *server) store(object *corev1.ConfigMap, event string) {
	s.writes++
	if s.lose != nil && s.lose(s.writes) {
		object.ResourceVersion = strconv.FormatInt(s.revision, 10)
		return
	}
	s.revision++
	object.ResourceVersion = strconv.FormatInt(s.revision, 10)
	if event == "DELETED" {
		delete(s.objects, object.Name)
	} else {
		s.objects[object.Name] = *object
	}
	s.events = append(s.events, metav1.WatchEvent{Type: event, Object: runtime.RawExtension{Object: object.DeepCopy()}})
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *server) get(w http.ResponseWriter, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	object, ok := s.objects[name]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_ = json.NewEncoder(w).Encode(object)
}

func (s *server) list(w http.ResponseWriter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := corev1.ConfigMapList{ListMeta: metav1.ListMeta{ResourceVersion: strconv.FormatInt(s.revision, 10)}}
	for _, object := range s.objects {
		list.Items = append(list.Items, object)
	}
	_ = json.NewEncoder(w).Encode(list)
}

func (s *server) deleteAll(w http.ResponseWriter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.objects)
	w.WriteHeader(http.StatusOK)
}

func (s *server) watch(w http.ResponseWriter, r *http.Request) {
	next, err := strconv.ParseInt(r.URL.Query().Get("resourceVersion"), 10, 64)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	controller := http.NewResponseController(w)
	for {
		_ = controller.Flush()
		s.mu.Lock()
		events, changed, hide := s.events[next-1:], s.changed, s.hide
		s.mu.Unlock()
		for _, event := range events {
			next++
			if hide == nil || !hide(next) {
				_ = json.NewEncoder(w).Encode(event)
			}
		}
		if len(events) > 0 {
			continue
		}
		select {
		case <-r.Context().Done():
			return
		case <-changed:
		}
	}
}

// remaining ConfigMaps.
func (s *server) remaining() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.objects)
}

// path is a TCP proxy to a server that can be frozen: connections open while it is frozen never
// carry a byte again.
type path struct {
	listener net.Listener
	frozen   atomic.Bool
}

func newPath(t *testing.T, server string) *path {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &path{listener: listener}
	var open sync.WaitGroup
	var mu sync.Mutex
	var connections []net.Conn
	carry := func(to, from net.Conn) {
		buffer := make([]byte, 32<<10)
		for dead := false; ; {
			n, err := from.Read(buffer)
			if err != nil {
				_ = to.Close()
				return
			}
			if dead = dead || p.frozen.Load(); !dead {
				_, _ = to.Write(buffer[:n])
			}
		}
	}
	open.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			upstream, err := net.Dial("tcp", server)
			if err != nil {
				_ = client.Close()
				continue
			}
			mu.Lock()
			connections = append(connections, client, upstream)
			mu.Unlock()
			open.Go(func() { carry(upstream, client) })
			open.Go(func() { carry(client, upstream) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		mu.Lock()
		for _, connection := range connections {
			_ = connection.Close()
		}
		mu.Unlock()
		open.Wait()
	})
	return p
}
