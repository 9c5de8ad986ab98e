package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/agent"
	simulatedagent "github.com/myriad-fleet/myriad/internal/agent/simulated"
	"github.com/myriad-fleet/myriad/internal/runtime"
	"github.com/myriad-fleet/myriad/internal/runtime/simulated"
)

// hostConfig is what a process that hosts agents is told, as a file.
type hostConfig struct {
	// Socket that it answers on.
	Socket string `json:"socket"`
	Seed   uint64 `json:"seed"`
	// Version of Kubernetes that every cell can run.
	Version string `json:"version"`
	Slots   int    `json:"slots"`
	// DeathsPerYear of a component.
	DeathsPerYear float64     `json:"deathsPerYear"`
	Cells         []agentCell `json:"cells"`
}

// agentCell is one cell of a host.
type agentCell struct {
	Name string `json:"name"`
	// Dir of its agent; hub/kubeconfig below it leads to the hub.
	Dir   string   `json:"dir"`
	Zones []string `json:"zones"`
	// MilliCPU in thousandths of a core and Memory in bytes of each zone.
	MilliCPU int64 `json:"milliCPU"`
	Memory   int64 `json:"memory"`
}

// host runs the agents of some cells in one process, each with its own identity and its own connections. The
// cells go on while their agents are away.
type host struct {
	cells map[string]*hosted
	log   *slog.Logger
}

type hosted struct {
	runtime *simulated.Runtime
	options agent.Options

	mu   sync.Mutex
	stop func() // nil while there is no agent
}

// runHost hosts agents until the context ends.
func runHost(ctx context.Context, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read what to host: %w", err)
	}
	var config hostConfig
	if err := json.Unmarshal(text, &config); err != nil {
		return fmt.Errorf("read what to host: %s: %w", file, err)
	}
	h := &host{cells: map[string]*hosted{}, log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	var cells sync.WaitGroup
	for _, cell := range config.Cells {
		hosted, err := h.cell(config, cell)
		if err != nil {
			return err
		}
		h.cells[cell.Name] = hosted
		cells.Go(func() { hosted.runtime.Run(ctx) })
	}
	err = h.serve(ctx, config.Socket)
	for _, cell := range h.cells {
		cell.halt()
	}
	cells.Wait()
	return err
}

func (h *host) cell(config hostConfig, cell agentCell) (*hosted, error) {
	var capacity runtime.Capacity
	for _, zone := range cell.Zones {
		capacity = append(capacity, v1alpha1.ZoneCapacity{
			Name: zone, CPU: *resource.NewMilliQuantity(cell.MilliCPU, resource.DecimalSI), Memory: *resource.NewQuantity(cell.Memory, resource.BinarySI),
		})
	}
	made, err := simulated.New(simulated.Options{
		Cell: cell.Name, Seed: config.Seed, Capacity: capacity, Slots: config.Slots, DeathsPerYear: config.DeathsPerYear,
	})
	if err != nil {
		return nil, fmt.Errorf("cell %s: %w", cell.Name, err)
	}
	return &hosted{runtime: made, options: agent.Options{
		Cell: cell.Name, Dir: cell.Dir, Kubeconfig: filepath.Join(cell.Dir, "hub", "kubeconfig"),
		Runtime: made, Inside: simulatedagent.Inside(made, cell.Zones),
		Versions: func() ([]string, error) { return []string{config.Version}, nil }, Version: "scale", Log: h.log,
	}}, nil
}

// start the agent of a cell, unless it runs.
func (c *hosted) start(log *slog.Logger) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stop != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := agent.Run(ctx, c.options); err != nil {
			log.Error("an agent ended", "cell", c.options.Cell, "error", err)
		}
	}()
	c.stop = func() {
		cancel()
		<-ended
	}
}

// halt the agent of a cell, if it runs.
func (c *hosted) halt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stop != nil {
		c.stop()
		c.stop = nil
	}
}

// serve what the benchmark asks for, until the context ends.
func (h *host) serve(ctx context.Context, socket string) error {
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /start", h.each(func(c *hosted, _ *http.Request) error { c.start(h.log); return nil }))
	mux.HandleFunc("POST /stop", h.each(func(c *hosted, _ *http.Request) error { c.halt(); return nil }))
	mux.HandleFunc("POST /pace", h.each(func(c *hosted, r *http.Request) error {
		pace, err := strconv.ParseFloat(r.URL.Query().Get("to"), 64)
		if err != nil {
			return fmt.Errorf("to: %w", err)
		}
		c.runtime.SetPace(pace)
		return nil
	}))
	mux.HandleFunc("GET /started", h.started)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: hostPatience}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// each does something with the cell that the request names, or with all, all at once.
func (h *host) each(do func(*hosted, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name := r.URL.Query().Get("cell")
		var mu sync.Mutex
		var failures []error
		var all sync.WaitGroup
		for _, cell := range h.cells {
			if name != "" && cell.options.Cell != name {
				continue
			}
			all.Go(func() {
				err := do(cell, r)
				mu.Lock()
				defer mu.Unlock()
				failures = append(failures, err)
			})
		}
		all.Wait()
		if err := errors.Join(failures...); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	}
}

// started answers how long each guest took to start by the simulation, in seconds by id.
func (h *host) started(w http.ResponseWriter, _ *http.Request) {
	took := map[string]float64{}
	for _, cell := range h.cells {
		for _, id := range cell.runtime.IDs() {
			if time, ok := cell.runtime.Started(id); ok {
				took[id] = time.Seconds()
			}
		}
	}
	if err := json.NewEncoder(w).Encode(took); err != nil {
		h.log.Error("what has started could not be told", "error", err)
	}
}
