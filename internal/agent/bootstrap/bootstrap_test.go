package bootstrap

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/clock"

	"github.com/myriad-fleet/myriad/internal/pki"
)

const id = "abcdefghij"

// fakeGuest is an API server that knows ClusterRoleBindings and one watch.
type fakeGuest struct {
	identity pki.Identity

	mu       sync.Mutex
	refusals int // requests that are refused before one is served
	users    map[string]string
	bound    map[string]string
	silent   bool // the ServiceAccount never comes
}

func newFakeGuest(t *testing.T) (*fakeGuest, Guest) {
	t.Helper()
	made, err := pki.NewIdentity(id, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	authority, err := made.Authority("cluster-ca")
	if err != nil {
		t.Fatal(err)
	}
	certificate, key, err := authority.Issue(pki.Leaf{
		CommonName: "kube-apiserver", Names: []string{"127.0.0.1"}, Server: true, Lifetime: time.Hour,
	}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AddCert(authority.Certificate)
	f := &fakeGuest{identity: made, users: map[string]string{}, bound: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /apis/rbac.authorization.k8s.io/v1/clusterrolebindings", f.bind)
	mux.HandleFunc("GET /api/v1/namespaces/default/serviceaccounts", f.watch)
	server := httptest.NewUnstartedServer(mux)
	server.TLS = &tls.Config{
		Certificates: []tls.Certificate{pair}, ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12,
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	return f, Guest{ID: id, Address: strings.TrimPrefix(server.URL, "https://"), Identity: made}
}

func (f *fakeGuest) bind(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refusals > 0 {
		f.refusals--
		http.Error(w, "not yet", http.StatusServiceUnavailable)
		return
	}
	body, _ := io.ReadAll(r.Body)
	binding := rbacv1.ClusterRoleBinding{}
	if _, _, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, &binding); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	f.users[r.TLS.PeerCertificates[0].Subject.CommonName] = r.TLS.PeerCertificates[0].Subject.Organization[0]
	if _, exists := f.bound[binding.Subjects[0].Name]; exists {
		respond(w, http.StatusConflict, metav1.Status{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure,
			Reason: metav1.StatusReasonAlreadyExists, Code: http.StatusConflict,
		})
		return
	}
	f.bound[binding.Subjects[0].Name] = binding.RoleRef.Name
	binding.TypeMeta = metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "ClusterRoleBinding"}
	respond(w, http.StatusCreated, binding)
}

func (f *fakeGuest) watch(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	silent := f.silent
	f.mu.Unlock()
	if silent {
		<-r.Context().Done()
		return
	}
	account := corev1.ServiceAccount{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"}}
	account.Name = "default"
	respond(w, http.StatusOK, map[string]any{"type": "ADDED", "object": account})
}

func respond(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body)
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	f, guest := newFakeGuest(t)
	f.refusals = 2
	b := New(dir, clock.RealClock{})
	if b.Done(id) {
		t.Error("done before it began")
	}
	for range 2 { // a second run finds everything there
		if err := b.Run(t.Context(), guest); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]string{
		"myriad:admins": "cluster-admin", "myriad:viewers": "view", "myriad:kubelet-api": "system:kubelet-api-admin",
		"myriad:monitoring": "system:monitoring",
	}
	if diff := cmp.Diff(want, f.bound); diff != "" {
		t.Errorf("bindings (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"myriad:agent": "system:masters"}, f.users); diff != "" {
		t.Errorf("came as (-want +got):\n%s", diff)
	}
	if !New(dir, clock.RealClock{}).Done(id) {
		t.Error("a restart forgets that it is done")
	}
	if err := b.Remove(id); err != nil || b.Done(id) {
		t.Errorf("was not forgotten: %v", err)
	}
}

// TestOlder: what an agent of before bound stays, and the guest counts as bootstrapped; another run binds
// what has come since.
func TestOlder(t *testing.T) {
	dir := t.TempDir()
	f, guest := newFakeGuest(t)
	f.bound["myriad:admins"] = "cluster-admin"
	if err := os.WriteFile(filepath.Join(dir, id), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b := New(dir, clock.RealClock{})
	if !b.Done(id) || b.Current(id) {
		t.Errorf("with the note of an older agent: done %t, current %t", b.Done(id), b.Current(id))
	}
	if err := b.Run(t.Context(), guest); err != nil {
		t.Fatal(err)
	}
	if f.bound["myriad:monitoring"] != "system:monitoring" {
		t.Errorf("bound %v", f.bound)
	}
	if !b.Done(id) || !New(dir, clock.RealClock{}).Current(id) {
		t.Error("it is not current after another run")
	}
}

// TestCancelled: a bootstrap that is ended early leaves no note.
func TestCancelled(t *testing.T) {
	f, guest := newFakeGuest(t)
	f.silent = true
	dir := t.TempDir()
	b := New(dir, clock.RealClock{})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := b.Run(ctx, guest); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("left %v, %v", entries, err)
	}
}
