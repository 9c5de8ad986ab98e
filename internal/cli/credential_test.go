package cli

import (
	"context"
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/pki"
)

// credentials lists the requests that reached the hub.
func (f *fixture) credentials() []v1alpha1.ClusterCredential {
	f.t.Helper()
	var list v1alpha1.ClusterCredentialList
	if err := f.hub.List(f.t.Context(), &list); err != nil {
		f.t.Fatal(err)
	}
	return list.Items
}

// answer plays hub and agent: it sets the status of every request that has none.
func (f *fixture) answer(status func(spec v1alpha1.ClusterCredentialSpec) v1alpha1.ClusterCredentialStatus) {
	f.t.Helper()
	for _, credential := range f.credentials() {
		if credential.Status.Certificate != "" {
			continue
		}
		credential.Status = status(credential.Spec)
		if err := f.hub.Status().Update(f.t.Context(), &credential); err != nil {
			f.t.Fatal(err)
		}
	}
}

// signer returns what an agent answers: a certificate of its authority for the request's key.
func (f *fixture) signer() func(v1alpha1.ClusterCredentialSpec) v1alpha1.ClusterCredentialStatus {
	f.t.Helper()
	authority, err := pki.NewAuthority("cluster-ca", epoch, time.Hour*24*365)
	if err != nil {
		f.t.Fatal(err)
	}
	return func(spec v1alpha1.ClusterCredentialSpec) v1alpha1.ClusterCredentialStatus {
		request, err := pki.ParseRequest([]byte(spec.Request))
		if err != nil {
			f.t.Fatalf("the request must be one that an agent takes: %v", err)
		}
		leaf := pki.Leaf{CommonName: spec.User, Client: true, Lifetime: time.Duration(spec.ExpirationSeconds) * time.Second}
		certificate, err := authority.Sign(leaf, request.PublicKey, f.clock.Now())
		if err != nil {
			f.t.Fatal(err)
		}
		return v1alpha1.ClusterCredentialStatus{
			Certificate: string(certificate), CABundle: "CA\n", Endpoint: endpoint(),
			Conditions: []metav1.Condition{condition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSigned, "")},
		}
	}
}

func TestKubeconfig(t *testing.T) {
	cases := map[string]struct {
		reason string
		words  string
		want   v1alpha1.ClusterCredentialSpec
		server string
	}{
		"Default": {
			reason: "an administrator for a day, on the port that all guests share", words: "",
			want:   v1alpha1.ClusterCredentialSpec{Cluster: "hello", Role: v1alpha1.CredentialAdmin, User: "alice", ExpirationSeconds: 86400},
			server: "https://127.80.0.10:6443",
		},
		"Chosen": {
			reason: "every flag has its field", words: "--role viewer --user bob --expiration 1h --port plain",
			want:   v1alpha1.ClusterCredentialSpec{Cluster: "hello", Role: v1alpha1.CredentialViewer, User: "bob", ExpirationSeconds: 3600},
			server: "https://127.80.0.10:20001",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, interceptor.Funcs{}, hello())
			sign := f.signer()
			f.clock.onWait = func(int) { f.answer(sign) }
			f.want(exitOK, append([]string{"cluster", "kubeconfig", "hello"}, strings.Fields(tc.words)...)...)

			spec := f.credentials()[0].Spec
			if strings.Contains(spec.Request, "PRIVATE KEY") {
				t.Error("the private key must never leave the caller")
			}
			spec.Request = ""
			if diff := cmp.Diff(tc.want, spec); diff != "" {
				t.Errorf("%s: -want +got\n%s", tc.reason, diff)
			}
			config, err := clientcmd.Load(f.out.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			server, user := config.Clusters["hello"], config.AuthInfos["hello"]
			if server.Server != tc.server || server.TLSServerName != endpoint().ServerName || string(server.CertificateAuthorityData) != "CA\n" {
				t.Errorf("%s: cluster in the kubeconfig is %+v", tc.reason, server)
			}
			if _, err := tls.X509KeyPair(user.ClientCertificateData, user.ClientKeyData); err != nil {
				t.Errorf("%s: the key must fit the certificate: %v", tc.reason, err)
			}
		})
	}
}

func TestKubeconfigFile(t *testing.T) {
	f := newFixture(t, interceptor.Funcs{}, hello())
	sign := f.signer()
	f.clock.onWait = func(int) { f.answer(sign) }
	file := filepath.Join(t.TempDir(), "config")
	f.want(exitOK, "cluster", "kubeconfig", "hello", "--output-file", file)
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("a file with a private key has mode %v, want 0600", info.Mode().Perm())
	}
	if f.out.Len() != 0 {
		t.Errorf("printed %q although it went to a file", f.out.String())
	}
}

func TestKubeconfigErrors(t *testing.T) {
	refuse := func(v1alpha1.ClusterCredentialSpec) v1alpha1.ClusterCredentialStatus {
		return v1alpha1.ClusterCredentialStatus{Conditions: []metav1.Condition{
			condition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonRefused, "RSA keys need 2048 bits"),
		}}
	}
	cases := map[string]struct {
		reason string
		words  string
		code   int
		want   string
		answer func(v1alpha1.ClusterCredentialSpec) v1alpha1.ClusterCredentialStatus
	}{
		"Refused": {
			reason: "asking again would not help", code: exitUsage, answer: refuse,
			want: "certificate for cluster hello: refused: RSA keys need 2048 bits",
		},
		"Silent": {
			reason: "the cell may be down: say where to look", words: "--timeout 0s", code: exitNotReady,
			want: "certificate for cluster hello: not done after 0s: waiting for the hub; is its cell up? look with 'myriad cluster describe hello' and 'myriad cell list'",
		},
		"Role":       {reason: "unknown role", words: "--role root", code: exitUsage, want: "--role root is not known; use admin or viewer"},
		"Port":       {reason: "unknown port", words: "--port any", code: exitUsage, want: "--port any is not known; use shared or plain"},
		"Expiration": {reason: "the API's bounds", words: "--expiration 9m", code: exitUsage, want: "--expiration 9m0s is out of bounds; use 10m0s to 168h0m0s"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, interceptor.Funcs{}, hello())
			f.clock.onWait = func(int) {
				if tc.answer != nil {
					f.answer(tc.answer)
				}
			}
			if got := f.run(append([]string{"cluster", "kubeconfig", "hello"}, strings.Fields(tc.words)...)...); got != tc.code {
				t.Errorf("%s: exit code %d, want %d", tc.reason, got, tc.code)
			}
			if _, got, _ := strings.Cut(f.err.String(), "error: "); got != tc.want+"\n" {
				t.Errorf("%s\n got %q\nwant %q", tc.reason, got, tc.want)
			}
			if left := f.credentials(); len(left) != 0 {
				t.Errorf("%s: a request that nobody waits for is left over: %s", tc.reason, left[0].Name)
			}
		})
	}
}

// execution is one run of kubectl.
type execution struct {
	program    string
	words      []string
	kubeconfig string
}

func (f *fixture) recordKubectl(code int) *[]execution {
	var runs []execution
	f.session.kubectl = func(_, version string) (string, error) { return "/distro/" + version + "/kubectl", nil }
	f.session.execute = func(_ context.Context, program string, words, environment []string) (int, error) {
		file := strings.TrimPrefix(environment[len(environment)-1], "KUBECONFIG=")
		text, err := os.ReadFile(file)
		runs = append(runs, execution{program: program, words: words, kubeconfig: string(text)})
		return code, err
	}
	return &runs
}

func TestKubectl(t *testing.T) {
	f := newFixture(t, interceptor.Funcs{}, hello())
	sign := f.signer()
	f.clock.onWait = func(int) { f.answer(sign) }
	runs := f.recordKubectl(7)

	f.want(7, "kubectl", "hello", "--", "get", "pods", "-o", "wide", "--", "x")
	if f.err.Len() > 0 && strings.Contains(f.err.String(), "error") {
		t.Errorf("kubectl has told its error already: %s", f.err.String())
	}
	want := []string{"get", "pods", "-o", "wide", "--", "x"}
	if diff := cmp.Diff(want, (*runs)[0].words); diff != "" {
		t.Errorf("all that follows the cluster is kubectl's: -want +got\n%s", diff)
	}
	if (*runs)[0].program != "/distro/v1.36.3/kubectl" {
		t.Errorf("ran %s: it must be of the cluster's version", (*runs)[0].program)
	}

	f.want(7, "kubectl", "hello", "get", "pods")
	if n := len(f.credentials()); n != 1 {
		t.Errorf("%d certificates were asked for: one that is still good must be used again", n)
	}
	f.clock.Step(55 * time.Minute)
	f.want(7, "kubectl", "hello", "get", "pods")
	if n := len(f.credentials()); n != 2 {
		t.Errorf("%d certificates were asked for: one that expires in five minutes must be replaced", n)
	}
	f.want(7, "kubectl", "--role", "viewer", "hello", "get", "pods")
	if n := len(f.credentials()); n != 3 {
		t.Errorf("%d certificates were asked for: a viewer must not get the administrator's", n)
	}
}

func TestKubectlFollowsTheCluster(t *testing.T) {
	f := newFixture(t, interceptor.Funcs{}, hello())
	sign := f.signer()
	f.clock.onWait = func(int) { f.answer(sign) }
	f.recordKubectl(0)
	f.want(exitOK, "kubectl", "hello", "version")
	var cluster v1alpha1.Cluster
	if err := f.hub.Get(t.Context(), client.ObjectKeyFromObject(hello()), &cluster); err != nil {
		t.Fatal(err)
	}
	cluster.Status.CABundle = "another CA\n"
	if err := f.hub.Status().Update(t.Context(), &cluster); err != nil {
		t.Fatal(err)
	}
	f.want(exitOK, "kubectl", "hello", "version")
	if n := len(f.credentials()); n != 2 {
		t.Errorf("%d certificates were asked for: one of another CA must be replaced", n)
	}
}

func TestKubectlBeforeTheCluster(t *testing.T) {
	f := newFixture(t, interceptor.Funcs{}, unready("waiting", v1alpha1.ReasonNoRoom, "no room"))
	f.want(exitNotReady, "kubectl", "waiting", "get", "pods")
	f.wantError("cluster waiting has no endpoint yet; run 'myriad cluster wait waiting'")
}

func TestRunProgram(t *testing.T) {
	cases := map[string]struct {
		reason string
		script string
		want   int
	}{
		"Success": {reason: "no error", script: "exit 0", want: 0},
		"Code":    {reason: "the code is passed through", script: "exit 42", want: 42},
		"Signal":  {reason: "as shells tell it", script: "kill -TERM $$", want: 143},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, interceptor.Funcs{})
			got, err := f.session.runProgram(t.Context(), "/bin/sh", []string{"-c", tc.script}, nil)
			if err != nil || got != tc.want {
				t.Errorf("%s: exit code %d, error %v; want %d", tc.reason, got, err, tc.want)
			}
		})
	}
}
