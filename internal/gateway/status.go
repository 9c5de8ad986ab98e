package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/myriad-fleet/myriad/internal/gateway/backend"
	"github.com/myriad-fleet/myriad/internal/gateway/hubwatch"
)

// Status of a gateway.
type Status struct {
	// Region that it serves.
	Region string `json:"region"`
	// Instance in its region.
	Instance int `json:"instance"`
	// Listen is the address of the shared port.
	Listen string `json:"listen"`
	// Cells that it watches; empty while it has not reached the hub since its start.
	Cells []hubwatch.CellStatus `json:"cells"`
	// Guests that it routes, by id.
	Guests []backend.GuestStatus `json:"guests"`
	// Unconfirmed ids are routed and the hub says nothing of them: it is away, or has forgotten them.
	Unconfirmed []string `json:"unconfirmed"`
	// FailingPorts are plain ports that cannot be opened, with the reason.
	FailingPorts map[uint16]string `json:"failingPorts"`
}

// SocketName of the status socket in the gateway's directory. It answers GET /status with a Status as JSON
// and GET /metrics in the text format of Prometheus.
const SocketName = "gateway.sock"

// ReadStatus asks the gateway process of a directory.
func ReadStatus(ctx context.Context, dir string) (Status, error) {
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialSocket(ctx, dir)
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://gateway/status", nil)
	if err != nil {
		return Status{}, fmt.Errorf("ask the gateway in %s: %w", dir, err)
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return Status{}, fmt.Errorf("ask the gateway in %s; it may not be running: %w", dir, err)
	}
	defer response.Body.Close()
	var status Status
	if err := json.NewDecoder(response.Body).Decode(&status); err != nil {
		return Status{}, fmt.Errorf("read the answer of the gateway in %s: %w", dir, err)
	}
	return status, nil
}

// status right now.
func (g *Gateway) status(listen string) Status {
	status := Status{
		Region: g.options.Region, Instance: g.options.Instance, Listen: listen,
		Cells: []hubwatch.CellStatus{}, Guests: g.backends.Status(),
		Unconfirmed: []string{}, FailingPorts: g.ports.Failing(),
	}
	confirmed := map[string]bool{}
	if g.hub != nil {
		status.Cells = g.hub.Cells()
		for _, placement := range g.hub.Known() {
			confirmed[placement.ID] = true
		}
	}
	g.mutex.Lock()
	defer g.mutex.Unlock()
	for _, id := range slices.Sorted(maps.Keys(g.table.Routes)) {
		if !confirmed[id] {
			status.Unconfirmed = append(status.Unconfirmed, id)
		}
	}
	return status
}

// statusServer answers on the status socket.
type statusServer struct {
	server *http.Server
	ended  chan struct{}
}

// listenStatus starts to answer on the status socket.
func (g *Gateway) listenStatus(listen string) (*statusServer, error) {
	listener, err := listenSocket(g.options.Dir)
	if err != nil {
		return nil, fmt.Errorf("gateway: status socket: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(g.metrics.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /status", func(writer http.ResponseWriter, _ *http.Request) {
		writer.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(writer).Encode(g.status(listen)); err != nil {
			g.options.Log.Debug("status was not read to its end", "error", err)
		}
	})
	status := &statusServer{
		server: &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second},
		ended:  make(chan struct{}),
	}
	go func() {
		defer close(status.ended)
		if err := status.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			g.options.Log.Error("status socket failed; the gateway serves on without it", "error", err)
		}
	}()
	return status, nil
}

// close the socket and wait until nobody is answered any more.
func (s *statusServer) close() error {
	err := s.server.Close()
	<-s.ended
	if err != nil {
		return fmt.Errorf("gateway: close the status socket: %w", err)
	}
	return nil
}

// socketPath is a name for the status socket that is short enough for a socket address (108 bytes),
// however long the directory's is. It holds until the directory is closed.
func socketPath(dir *os.File) string {
	return filepath.Join("/proc/self/fd", fmt.Sprint(dir.Fd()), SocketName)
}

// listenSocket replaces the socket that a process before this one left behind.
func listenSocket(path string) (net.Listener, error) {
	dir, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open its directory: %w", err)
	}
	defer dir.Close()
	if err := os.RemoveAll(filepath.Join(path, SocketName)); err != nil {
		return nil, fmt.Errorf("remove the old one: %w", err)
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: socketPath(dir), Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", filepath.Join(path, SocketName), err)
	}
	// The name leads nowhere once the directory is closed; the next start removes the file.
	listener.SetUnlinkOnClose(false)
	return listener, nil
}

// dialSocket of the gateway process of a directory.
func dialSocket(ctx context.Context, path string) (net.Conn, error) {
	dir, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open its directory: %w", err)
	}
	connection, err := (&net.Dialer{}).DialContext(ctx, "unix", socketPath(dir))
	return connection, errors.Join(err, dir.Close())
}
