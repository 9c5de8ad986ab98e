package process

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/myriad-fleet/myriad/internal/controlplane"
)

// A new hash restarts every process of every fleet at its next upgrade.
func TestSpecHashIsForever(t *testing.T) {
	c := controlplane.Component{
		Name: "etcd-a", Program: "etcd", Version: "v3.6.16", Args: []string{"--a=b"}, Env: []string{"C=d"},
		Files: []controlplane.File{{Path: "b", Content: []byte("1")}, {Path: "a", Content: []byte("2")}, {Path: "live", Live: true}},
	}
	const want = "c53e138b0a10d15906738ee2a7e3b9a9"
	if got := specHash(&c); got != want {
		t.Errorf("specHash(): want %s, got %s", want, got)
	}
	c.Files[0], c.Files[1] = c.Files[1], c.Files[0]
	c.Files[2].Content, c.Zone, c.StopSeconds, c.Probe = []byte("x"), "a", 3, &controlplane.Probe{}
	c.FirstArgs = []string{"--initial-cluster-state=new"}
	if got := specHash(&c); got != want {
		t.Errorf("specHash() with changes that need no restart: want %s, got %s", want, got)
	}
}

func TestCommandLine(t *testing.T) {
	c := controlplane.Component{Args: []string{"--dir=$(DATA_DIR)/x", "--ca=$(CONFIG_DIR)/ca"}, FirstArgs: []string{"--first=$(DATA_DIR)"}, Env: []string{"K=$(CONFIG_DIR)/k"}}
	args, env := commandLine(&c, "/d", "/r/g/x")
	if diff := cmp.Diff([]string{"--dir=/d/data/x", "--ca=/d/config/ca", "--first=/d/data"}, args); diff != "" {
		t.Errorf("arguments: -want +got:\n%s", diff)
	}
	want := []string{"PATH=" + searchPath, "HOME=/d/data", "TMPDIR=/d/tmp", "K=/d/config/k", "MYRIAD_INSTANCE=/r/g/x", "MYRIAD_SPEC=" + specHash(&c)}
	if diff := cmp.Diff(want, env); diff != "" {
		t.Errorf("environment: -want +got:\n%s", diff)
	}
}

func TestFilesOfAStart(t *testing.T) {
	dir := componentDir(t.TempDir())
	c := controlplane.Component{Files: []controlplane.File{{Path: "a/b", Content: []byte("new")}}}
	if err := dir.make(); err != nil {
		t.Fatal(err)
	}
	old := filepath.Join(dir.config(), "old")
	if err := os.WriteFile(old, nil, fileMode); err != nil {
		t.Fatal(err)
	}
	if err := removeOldFiles(&c, dir); err != nil {
		t.Fatal(err)
	}
	if err := writeFiles(&c, dir, false, writeAtomically); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); !os.IsNotExist(err) {
		t.Errorf("a file that the manifest no longer has: want none, got %v", err)
	}
	info, err := os.Stat(filepath.Join(dir.config(), "a/b"))
	if err != nil || info.Mode().Perm() != fileMode {
		t.Errorf("a/b: want mode %o, got %v, %v", fileMode, info, err)
	}
}

func TestProbe(t *testing.T) {
	status := http.StatusOK
	target := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.WriteHeader(status)
	}))
	target.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	target.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are part of the test
	target.StartTLS()
	defer target.Close()
	dir := t.TempDir()
	write := func(name string, content []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), content, fileMode); err != nil {
			t.Fatal(err)
		}
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: target.Certificate().Raw})
	address := target.Listener.Addr().String()
	p := &prober{
		config: dir, timing: timing{probeTimeout: 2 * time.Second},
		probe: controlplane.Probe{Address: address, Path: "/readyz", CAFile: "ca.crt", ServerName: "example.com"},
	}
	steps := []struct {
		reason string
		change func()
		want   bool
	}{
		{"no CA file yet", func() {}, false},
		{"a CA file that is none", func() { write("ca.crt", []byte("x")) }, false},
		{"the file is read again", func() { write("ca.crt", ca) }, true},
		{"not ready", func() { status = http.StatusInternalServerError }, false},
		{"ready again", func() { status = http.StatusOK }, true},
		{"another name in the certificate", func() { p.probe.ServerName, p.material = "other.test", nil }, false},
		{"without a CA anything goes", func() { p.probe.CAFile, p.material = "", nil }, true},
		{"another path", func() { p.probe.Path = "/" }, false},
	}
	for _, step := range steps {
		step.change()
		if err := p.ask(t.Context()); (err == nil) != step.want {
			t.Errorf("%s: want success %t, got %v", step.reason, step.want, err)
		}
	}
}

func TestProbeOverSocket(t *testing.T) {
	// Longer than a socket's path may be: only its directory is opened by name.
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 120))
	if err := os.MkdirAll(dir, dirMode); err != nil {
		t.Fatal(err)
	}
	p := &prober{
		timing: timing{probeTimeout: 2 * time.Second},
		probe:  controlplane.Probe{Socket: filepath.Join(dir, socketFile), Path: "/status"},
	}
	if err := p.ask(t.Context()); err == nil {
		t.Error("nobody listens, yet the probe succeeds")
	}
	listener, err := listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	target := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/status" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	target.Listener = listener
	target.Start()
	defer target.Close()
	if err := p.ask(t.Context()); err != nil {
		t.Errorf("the daemon answers, yet: %v", err)
	}
}
