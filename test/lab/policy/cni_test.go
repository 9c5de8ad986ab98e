package policy

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

const previous = `{"cniVersion":"1.0.0","ips":[{"address":"10.251.1.9/24"}]}`

// newTestEnforcer knows the pods and has rules that nothing loads.
func newTestEnforcer(pods ...*corev1.Pod) *Enforcer {
	return &Enforcer{
		log: slog.New(slog.DiscardHandler), changes: make(chan struct{}, 1), arrivals: make(chan arrival),
		addresses: map[string]netip.Addr{},
		list:      func() (State, error) { return State{Pods: pods}, nil },
		load:      func(context.Context, string) error { return nil },
	}
}

func runPlugin(command, socket string) (string, error) {
	environment := map[string]string{
		"CNI_COMMAND": command,
		"CNI_ARGS":    "IgnoreUnknown=1;K8S_POD_NAMESPACE=one;K8S_POD_NAME=server;K8S_POD_UID=1",
	}
	in := `{"cniVersion":"1.0.0","name":"lab","socket":"` + socket + `","prevResult":` + previous + `}`
	var out bytes.Buffer
	err := RunPlugin(func(name string) string { return environment[name] }, strings.NewReader(in), &out)
	return out.String(), err
}

func TestPlugin(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	enforcer := newTestEnforcer(pod("one", "server", ""))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{}, 2)
	go func() { _ = enforcer.Run(ctx); done <- struct{}{} }()
	go func() { _ = enforcer.Serve(ctx, socket); done <- struct{}{} }()
	deadline := time.Now().Add(10 * time.Second)
	out, err := runPlugin("ADD", socket)
	for err != nil && time.Now().Before(deadline) { // it may not listen yet
		out, err = runPlugin("ADD", socket)
	}
	cancel()
	<-done
	<-done
	if err != nil || out != previous {
		t.Errorf("the plugin answers %q (%v), want the result of the one before", out, err)
	}
	if got := enforcer.addresses["one/server"]; got.String() != "10.251.1.9" {
		t.Errorf("the enforcer knows the pod by %s", got)
	}
}

func TestPluginWithoutEnforcer(t *testing.T) {
	out, err := runPlugin("ADD", filepath.Join(t.TempDir(), "nobody"))
	if err == nil || !strings.Contains(out, "one/server") || !strings.Contains(out, `"code":100`) {
		t.Errorf("a pod starts without rules: %q, %v", out, err)
	}
	if _, err := runPlugin("DEL", ""); err != nil {
		t.Errorf("a pod's end needs no enforcer: %v", err)
	}
}

// TestArrivalWaits: a pod that the informer does not know yet is not let go.
func TestArrivalWaits(t *testing.T) {
	enforcer := newTestEnforcer()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	go func() { _ = enforcer.Run(t.Context()) }()
	if err := enforcer.arrive(ctx, "one/server", netip.MustParseAddr("10.251.1.9")); err == nil {
		t.Error("the pod went on before anyone knew of it")
	}
}
