package kubernetes

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/myriad-fleet/myriad/internal/runtime"
)

// kubeletPage is what a kubelet v1.36 tells of a node's containers: times are its own.
const kubeletPage = `# HELP container_cpu_usage_seconds_total [STABLE] Cumulative cpu time consumed by the container in core-seconds
# TYPE container_cpu_usage_seconds_total counter
container_cpu_usage_seconds_total{container="etcd",namespace="myriad-abcdefghij",pod="etcd-a-0"} 2.5 1795824000500
container_cpu_usage_seconds_total{container="coredns",namespace="kube-system",pod="coredns-1"} 7 1795824000500
container_cpu_usage_seconds_total{container="etcd",namespace="myriad-bbbbbbbbbb",pod="etcd-a-0"} NaN 1795824000500
container_memory_working_set_bytes{container="etcd",namespace="myriad-abcdefghij",pod="etcd-a-0"} 2.097152e+07 1795824000500
container_memory_working_set_bytes{container="etcd",namespace="myriad-bbbbbbbbbb",pod="etcd-a-0"} 2.097152e+07 1795824000500
container_memory_working_set_bytes{container="etcd",namespace="myriad-cccccccccc",pod="etcd-a-0"} 2.097152e+07 1795824000500
container_start_time_seconds{container="etcd",namespace="myriad-abcdefghij",pod="etcd-a-0"} 1.7958239e+09 1795824000500
container_start_time_seconds{container="etcd",namespace="myriad-bbbbbbbbbb",pod="etcd-a-0"} 1.7958239e+09 1795824000500
node_cpu_usage_seconds_total 100 1795824000500
`

// TestReadUsage: only guests' pods count, of which all is known, and makes sense.
func TestReadUsage(t *testing.T) {
	got, err := readUsage(strings.NewReader(kubeletPage), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	want := map[podName]runtime.Usage{
		{"myriad-abcdefghij", "etcd-a-0"}: {CPUSeconds: 2.5, Memory: 20 << 20, Start: "1795823900", At: time.UnixMilli(1795824000500)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := readUsage(strings.NewReader(`container_cpu_usage_seconds_total{pod="x`), time.Now()); err == nil {
		t.Error("half a page was read")
	}
}

func TestKubeletAddress(t *testing.T) {
	for reason, c := range map[string]struct {
		addresses []corev1.NodeAddress
		port      int32
		want      string
	}{
		"the address inside of the cell": {[]corev1.NodeAddress{{Type: corev1.NodeHostName, Address: "n"}, {Type: corev1.NodeInternalIP, Address: "10.0.0.1"}}, 0, "10.0.0.1:10250"},
		"another port, IPv6":             {[]corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "fd00::1"}}, 10260, "[fd00::1]:10260"},
		"no address":                     {nil, 10250, ""},
	} {
		node := &corev1.Node{}
		node.Status.Addresses, node.Status.DaemonEndpoints.KubeletEndpoint.Port = c.addresses, c.port
		if got := kubeletAddress(node); got != c.want {
			t.Errorf("%s: got %q, want %q", reason, got, c.want)
		}
	}
}

// TestReadKubelet: a kubelet that refuses is told of with the right that is needed.
func TestReadKubelet(t *testing.T) {
	for reason, c := range map[string]struct {
		status int
		body   string
		want   int
		fails  string
	}{
		"a page":            {http.StatusOK, kubeletPage, 1, ""},
		"no right to it":    {http.StatusForbidden, "Forbidden", 0, "nodes/metrics"},
		"not a page":        {http.StatusOK, "container_start_time_seconds{", 0, "do not end"},
		"too long by far":   {http.StatusOK, strings.Repeat("x", mostUsageBytes+1), 0, "too large"},
		"nothing of guests": {http.StatusOK, "# nothing\n", 0, ""},
	} {
		server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/metrics/resource" {
				t.Errorf("%s: asked for %s", reason, r.URL.Path)
			}
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		}))
		got, err := readKubelet(t.Context(), server.Client(), server.Listener.Addr().String(), time.Now())
		server.Close()
		if len(got) != c.want || (err == nil) != (c.fails == "") || err != nil && !strings.Contains(err.Error(), c.fails) {
			t.Errorf("%s: %d pods, error %v", reason, len(got), err)
		}
	}
}
