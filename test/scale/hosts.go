package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// hostPatience with a process that hosts agents.
const hostPatience = time.Minute

// hostProcess is a process that hosts agents, seen from the benchmark.
type hostProcess struct {
	name    string
	cells   []string
	command *exec.Cmd
	client  *http.Client
	log     *os.File
}

// startHost starts a process that hosts the agents of a configuration, which it answers for once this returns. Its
// log is <dir>/<name>.log.
func startHost(ctx context.Context, dir, name string, config hostConfig) (*hostProcess, error) {
	config.Socket = filepath.Join(dir, name+".sock")
	text, err := json.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("host %s: %w", name, err)
	}
	file := filepath.Join(dir, name+".json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, fmt.Errorf("host %s: %w", name, err)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("host %s: %w", name, err)
	}
	log, err := os.Create(filepath.Join(dir, name+".log"))
	if err != nil {
		return nil, fmt.Errorf("host %s: %w", name, err)
	}
	h := &hostProcess{name: name, log: log, command: exec.Command(self, hostRole, file)}
	for _, cell := range config.Cells {
		h.cells = append(h.cells, cell.Name)
	}
	h.command.Stdout, h.command.Stderr = log, log
	h.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := h.command.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("host %s: %w", name, err), log.Close())
	}
	h.client = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", config.Socket)
	}}}
	return h, h.answers(ctx)
}

// answers waits until the process does.
func (h *hostProcess) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, hostPatience)
	defer cancel()
	return await(ctx, 50*time.Millisecond, "host "+h.name+" answers", func(ctx context.Context) (bool, error) {
		_, err := h.started(ctx)
		return err == nil, nil
	})
}

// tell it to do something: start, stop or pace?to=N, of one cell or of all.
func (h *hostProcess) tell(ctx context.Context, what string) error {
	_, err := h.ask(ctx, http.MethodPost, what)
	return err
}

// started is how long each guest took to start by the simulation, in seconds by id.
func (h *hostProcess) started(ctx context.Context) (map[string]float64, error) {
	text, err := h.ask(ctx, http.MethodGet, "started")
	if err != nil {
		return nil, err
	}
	took := map[string]float64{}
	if err := json.Unmarshal(text, &took); err != nil {
		return nil, fmt.Errorf("host %s: %w", h.name, err)
	}
	return took, nil
}

func (h *hostProcess) ask(ctx context.Context, method, what string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, hostPatience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, "http://host/"+what, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("host %s: %w", h.name, err)
	}
	response, err := h.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("host %s: %s: %w", h.name, what, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("host %s: %s: %w", h.name, what, err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("host %s: %s: %s: %s", h.name, what, response.Status, text)
	}
	return text, nil
}

// end the process.
func (h *hostProcess) end() error {
	defer h.log.Close()
	if err := h.command.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("host %s: %w", h.name, err)
	}
	if err := h.command.Wait(); err != nil {
		return fmt.Errorf("host %s: %w; see %s", h.name, err, h.log.Name())
	}
	return nil
}
