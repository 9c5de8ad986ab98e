package e2e

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/rest"
)

// TestGuestIsLocked looks at a running guest as somebody without rights would.
func TestGuestIsLocked(t *testing.T) {
	s := sharedFleet(t)
	g := s.guest(t, "default", "hello")
	s.kubectl(t, "hello", "create", "secret", "generic", "locked", "--from-literal=password=correct-horse")
	t.Cleanup(func() { s.kubectl(t, "hello", "delete", "secret", "locked") })

	t.Run("Anonymous", func(t *testing.T) {
		anonymous, err := rest.HTTPClientFor(rest.AnonymousClientConfig(g.access(t)))
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]int{
			"/readyz": http.StatusOK, "/livez": http.StatusOK, "/healthz": http.StatusOK,
			"/": http.StatusUnauthorized, "/api": http.StatusUnauthorized, "/version": http.StatusUnauthorized,
			"/metrics": http.StatusUnauthorized, "/api/v1/namespaces/default/secrets/locked": http.StatusUnauthorized,
		}
		for path, status := range want {
			response, err := anonymous.Get(g.access(t).Host + path)
			if err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			if err := response.Body.Close(); err != nil {
				t.Error(err)
			}
			if response.StatusCode != status {
				t.Errorf("%s without credentials answers %d, want %d", path, response.StatusCode, status)
			}
		}
	})
	t.Run("SecretInEtcd", func(t *testing.T) {
		stored, err := g.etcdctl(t, true, "get", "/registry/secrets/default/locked", "--print-value-only")
		if err != nil {
			t.Fatalf("read the Secret from etcd: %v\n%s", err, stored)
		}
		if !bytes.HasPrefix(stored, []byte("k8s:enc:secretbox:")) || bytes.Contains(stored, []byte("correct-horse")) {
			t.Errorf("the Secret lies in etcd unencrypted: %.80q", stored)
		}
	})
	t.Run("EtcdWithoutCertificate", func(t *testing.T) {
		if output, err := g.etcdctl(t, false, "get", "/", "--prefix", "--keys-only"); err == nil {
			t.Errorf("etcd answers a client without a certificate: %.200q", output)
		}
	})
	t.Run("Audit", func(t *testing.T) {
		log := s.run(t, "cluster", "logs", "hello", "kube-apiserver-a", "--audit", "--tail", "10000")
		if !strings.Contains(log, `"resource":"secrets"`) || strings.Contains(log, "correct-horse") {
			t.Errorf("the audit log has no access to Secrets, or their content: %d bytes", len(log))
		}
	})
}

// etcdctl asks the guest's etcd of zone a, with the certificate of its probe or with none.
func (g *guest) etcdctl(t *testing.T, certificate bool, arguments ...string) ([]byte, error) {
	t.Helper()
	programs, err := filepath.Glob(filepath.Join(g.Home, "distro", "etcd", "*", "etcdctl"))
	if err != nil || len(programs) == 0 {
		t.Fatalf("find etcdctl below %s: %v", g.Home, err)
	}
	config := filepath.Join(g.Home, "cells", g.cell, "runtime", "guests", g.id, "etcd-a", "config")
	flags := []string{"--endpoints", g.etcdServer(t), "--cacert", config + "/etcd-ca.crt", "--command-timeout", "5s"}
	if certificate {
		flags = append(flags, "--cert", config+"/probe.crt", "--key", config+"/probe.key")
	}
	return exec.CommandContext(t.Context(), programs[0], append(flags, arguments...)...).CombinedOutput()
}

// etcdServer is where the guest's API server of zone a finds its etcd.
func (g *guest) etcdServer(t *testing.T) string {
	t.Helper()
	words, err := os.ReadFile("/proc/" + g.instances(t)["kube-apiserver-a"] + "/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for word := range strings.SplitSeq(string(words), "\x00") {
		if server, found := strings.CutPrefix(word, "--etcd-servers="); found {
			return server
		}
	}
	t.Fatalf("kube-apiserver-a of %s names no etcd", g.name)
	return ""
}
