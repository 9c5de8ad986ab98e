package distribution

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	testclock "k8s.io/utils/clock/testing"
)

// officialServer serves one version as https://dl.k8s.io does. Spoil may change an answer.
func officialServer(t *testing.T, reported string, spoil func(name string, w http.ResponseWriter) bool) (address string, requests *int) {
	t.Helper()
	program := fmt.Appendf(nil, "#!/bin/sh\necho 'Kubernetes %s'\n", reported)
	count := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		count++
		name := path.Base(r.URL.Path)
		if path.Dir(r.URL.Path) != "/release/v1.36.3/bin/linux/"+runtime.GOARCH {
			http.NotFound(w, r)
			return
		}
		switch {
		case spoil != nil && spoil(name, w):
		case strings.HasSuffix(name, ".sha256"):
			fmt.Fprintf(w, "%x", sha256.Sum256(program))
		default:
			_, _ = w.Write(program)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL + "/release", &count
}

func TestDownloadKubernetes(t *testing.T) {
	b, _ := newBuilder(t)
	address, requests := officialServer(t, "v1.36.3", nil)
	dir, err := b.DownloadKubernetes(t.Context(), address, "v1.36.3")
	if err != nil {
		t.Fatal(err)
	}
	set := t.TempDir()
	if err := LinkKubernetes(set, "v1.36.3", dir); err != nil {
		t.Fatal(err)
	}
	if got, err := open(t, set).KubernetesVersions(); err != nil || !cmp.Equal(got, []string{"v1.36.3"}) {
		t.Errorf("the set has %v, %v", got, err)
	}
	before := *requests
	if again, err := b.DownloadKubernetes(t.Context(), address, "v1.36.3"); err != nil || again != dir || *requests != before {
		t.Errorf("a second download asked the server again: %q, %v", again, err)
	}
}

func TestDownloadRefuses(t *testing.T) {
	tests := []struct {
		name, reason string
		reported     string
		spoil        func(name string, w http.ResponseWriter) bool
		want         []string
	}{{
		name:   "wrong checksum",
		reason: "a program that is not the published one must never run",
		spoil: func(name string, w http.ResponseWriter) bool {
			if name == "kube-scheduler" {
				fmt.Fprint(w, "#!/bin/sh\necho evil\n")
			}
			return name == "kube-scheduler"
		},
		want: []string{"kube-scheduler has the checksum", "kube-scheduler.sha256 says", "nothing was kept"},
	}, {
		name:   "no checksum",
		reason: "a page for people instead of a checksum is not the right server",
		spoil: func(name string, w http.ResponseWriter) bool {
			fmt.Fprint(w, "<html>")
			return true
		},
		want: []string{".sha256 holds no SHA-256 checksum"},
	}, {
		name:   "endless checksum",
		reason: "a hostile server must not fill the memory",
		spoil: func(name string, w http.ResponseWriter) bool {
			fmt.Fprint(w, strings.Repeat("0", maxChecksumSize+1))
			return true
		},
		want: []string{"longer than it can be"},
	}, {
		name:   "cut off",
		reason: "a connection that breaks leaves half a program",
		spoil: func(name string, w http.ResponseWriter) bool {
			if name != "kubectl" {
				return false
			}
			w.Header().Set("Content-Length", "1000000")
			fmt.Fprint(w, "#!/bin/sh\n")
			return true
		},
		want: []string{"fetch ", "kubectl", "unexpected EOF"},
	}, {
		name:   "not there",
		reason: "the version may not exist on this server",
		spoil: func(_ string, w http.ResponseWriter) bool {
			w.WriteHeader(http.StatusNotFound)
			return true
		},
		want: []string{"kube-apiserver.sha256: the server answered 404 Not Found"},
	}, {
		name:     "another version",
		reason:   "a mirror may serve another version under the name of this one",
		reported: "v1.36.2",
		want:     []string{"kube-apiserver says that it is v1.36.2, not v1.36.3"},
	}}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b, _ := newBuilder(t)
			reported := test.reported
			if reported == "" {
				reported = "v1.36.3"
			}
			address, _ := officialServer(t, reported, test.spoil)
			_, err := b.DownloadKubernetes(t.Context(), address, "v1.36.3")
			checkError(t, test.reason, err, append(test.want, "download Kubernetes v1.36.3")...)
			if diff := cmp.Diff([]string{}, listFinished(t, filepath.Join(b.Cache, "distro"))); diff != "" {
				t.Errorf("%s: kept:\n%s", test.reason, diff)
			}
		})
	}
}

func TestDownloadRefusesBadArguments(t *testing.T) {
	b, _ := newBuilder(t)
	for _, base := range []string{"dl.k8s.io", "file:///tmp", "https://", "://"} {
		_, err := b.DownloadKubernetes(t.Context(), base, "v1.36.3")
		checkError(t, "an address that cannot be meant", err, "no web address", "https://dl.k8s.io")
	}
	for _, version := range []string{"", "1.36.3", "v1.36", "v1.36.3/../x", "latest"} {
		_, err := b.DownloadKubernetes(t.Context(), "http://127.0.0.1:1", version)
		checkError(t, "a version that cannot be meant", err, "no version", "v1.36.3")
	}
}

func TestDownloadGivesUpOnASilentServer(t *testing.T) {
	b, _ := newBuilder(t)
	fake := testclock.NewFakeClock(time.Now())
	b.Console.Clock = fake
	release := make(chan struct{})
	address, _ := officialServer(t, "v1.36.3", func(string, http.ResponseWriter) bool {
		fake.Step(stallTimeout)
		<-release
		return true
	})
	t.Cleanup(func() { close(release) }) // before the server closes, which waits for its answers
	_, err := b.DownloadKubernetes(t.Context(), address, "v1.36.3")
	checkError(t, "a download must not hang", err, "the server sent nothing for 1m0s")
}
