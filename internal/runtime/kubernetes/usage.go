package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/load/page"
	"github.com/myriad-fleet/myriad/internal/runtime"
	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/objects"
)

const (
	// kubeletPort is the default of the kubelet's --port; a node that has another one says so.
	kubeletPort = 10250
	// usageEvery is how long a kubelet's page is good for: all guests that have pods on a node ask for it.
	usageEvery = 10 * time.Second
	// usagePatience with one kubelet. One that hangs costs one sample in usageEvery that much, and the
	// others nothing.
	usagePatience = 3 * time.Second
	// mostUsageBytes of a kubelet's page: one with 110 pods has 100 kB.
	mostUsageBytes = 8 << 20
	// The families of a kubelet's /metrics/resource (v1.36, stable since v1.29).
	usageCPU    = "container_cpu_usage_seconds_total"
	usageMemory = "container_memory_working_set_bytes"
	usageStart  = "container_start_time_seconds"
)

// usages are the kubelets' last pages, by node.
type usages struct {
	mu    sync.Mutex
	nodes map[string]*nodeUsage
	http  *http.Client // nil until it is first needed
}

// nodeUsage is the last page of one kubelet. Both fields with usages.mu.
type nodeUsage struct {
	asked time.Time
	pods  map[podName]runtime.Usage // replaced as a whole, never changed
}

// podName names a pod; a guest's has one container.
type podName struct{ namespace, name string }

// Usage of a guest's components: CPU time and the working set of their pods, as the kubelets of their
// nodes tell, which are asked directly. What no kubelet tells of is left out; the error says why.
func (r *Runtime) Usage(ctx context.Context, id string, _ runtime.Observation) (map[string]runtime.Usage, error) {
	if err := r.readable(); err != nil {
		return nil, err
	}
	var pods corev1.PodList
	own := []client.ListOption{client.InNamespace(objects.NamespaceName(id)), client.MatchingLabels{v1alpha1.LabelID: id}, client.UnsafeDisableDeepCopy}
	if err := r.cache.List(ctx, &pods, own...); err != nil {
		return nil, r.wrap("read Pods", err)
	}
	usage := map[string]runtime.Usage{}
	var failed error
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.Spec.NodeName == "" || pod.DeletionTimestamp != nil {
			continue
		}
		of, err := r.nodeUsage(ctx, pod.Spec.NodeName)
		if err != nil && (failed == nil || failed.Error() != err.Error()) {
			failed = errors.Join(failed, err)
		}
		if one, ok := of[podName{pod.Namespace, pod.Name}]; ok {
			usage[pod.Labels[objects.LabelComponent]] = one
		}
	}
	return usage, failed
}

// nodeUsage is what the kubelet of a node tells, or told less than a while ago. While one caller asks
// for it, the others get what there was.
func (r *Runtime) nodeUsage(ctx context.Context, name string) (map[podName]runtime.Usage, error) {
	now := r.Clock.Now()
	r.usages.mu.Lock()
	if r.usages.nodes == nil {
		r.usages.nodes = map[string]*nodeUsage{}
	}
	n := r.usages.nodes[name]
	if n != nil && now.Sub(n.asked) < usageEvery {
		defer r.usages.mu.Unlock()
		return n.pods, nil
	}
	if n == nil {
		n = &nodeUsage{}
		r.usages.nodes[name] = n
	}
	n.asked = now
	r.usages.mu.Unlock()
	pods, err := r.askKubelet(ctx, name)
	r.usages.mu.Lock()
	defer r.usages.mu.Unlock()
	n.pods = pods // nil where it failed: what is old is not passed off as new
	for other, of := range r.usages.nodes {
		if now.Sub(of.asked) > 10*usageEvery { // the node has no guests any more, or is gone
			delete(r.usages.nodes, other)
		}
	}
	return pods, err
}

func (r *Runtime) askKubelet(ctx context.Context, name string) (map[podName]runtime.Usage, error) {
	var node corev1.Node
	if err := r.cache.Get(ctx, client.ObjectKey{Name: name}, &node); err != nil {
		return nil, r.wrap("read node "+name, err)
	}
	address := kubeletAddress(&node)
	if address == "" {
		return nil, fmt.Errorf("kubernetes runtime: cell %s: node %s has no InternalIP: its kubelet cannot be asked", r.Cell.Name, name)
	}
	asker, err := r.kubelets()
	if err != nil {
		return nil, r.wrap("make a client of kubelets", err)
	}
	pods, err := readKubelet(ctx, asker, address, r.Clock.Now())
	if err != nil {
		return nil, r.wrap("ask the kubelet of node "+name, err)
	}
	return pods, nil
}

// readKubelet reads the page of the kubelet at an address.
func readKubelet(ctx context.Context, asker *http.Client, address string, now time.Time) (map[podName]runtime.Usage, error) {
	ctx, cancel := context.WithTimeout(ctx, usagePatience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+"/metrics/resource", http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := asker.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %s: the agent needs the right to get nodes/metrics", response.Status)
	}
	return readUsage(http.MaxBytesReader(nil, response.Body, mostUsageBytes), now)
}

// kubeletAddress of a node, host and port; empty for none.
func kubeletAddress(node *corev1.Node) string {
	port := int(node.Status.DaemonEndpoints.KubeletEndpoint.Port)
	if port == 0 {
		port = kubeletPort
	}
	for _, address := range node.Status.Addresses {
		if address.Type == corev1.NodeInternalIP {
			return net.JoinHostPort(address.Address, strconv.Itoa(port))
		}
	}
	return ""
}

// kubelets is a client for all of them. It trusts the authority of the cell's API server: the agent's
// credentials go to nobody else. Where kubelets sign their own certificates, usage is not known.
func (r *Runtime) kubelets() (*http.Client, error) {
	r.usages.mu.Lock()
	defer r.usages.mu.Unlock()
	if r.usages.http != nil {
		return r.usages.http, nil
	}
	config := rest.CopyConfig(r.Config)
	config.ServerName, config.DisableCompression = "", true
	made, err := rest.HTTPClientFor(config)
	r.usages.http = made
	return made, err
}

// readUsage reads a kubelet's page: the pods in guests' namespaces.
func readUsage(from io.Reader, now time.Time) (map[podName]runtime.Usage, error) {
	pods := map[podName]runtime.Usage{}
	broken := map[podName]bool{}
	err := page.Scan(from, []string{usageCPU, usageMemory, usageStart}, func(s *page.Sample) error {
		of := podName{string(s.Label("namespace")), string(s.Label("pod"))}
		if !strings.HasPrefix(of.namespace, objects.NamespaceName("")) {
			return nil
		}
		one := pods[of]
		switch s.Family {
		case usageCPU:
			one.CPUSeconds, one.At = s.Value, now
			if s.Millis != 0 { // when the kubelet looked, which is up to 15 s ago
				one.At = time.UnixMilli(s.Millis)
			}
		case usageMemory:
			one.Memory = int64(s.Value)
		case usageStart:
			one.Start = strconv.FormatFloat(s.Value, 'f', -1, 64)
		}
		broken[of] = broken[of] || !s.Sane()
		pods[of] = one
		return nil
	})
	if err != nil {
		return nil, err
	}
	for of, one := range pods {
		if broken[of] || slices.Contains([]string{"", "0"}, one.Start) || one.Memory == 0 {
			delete(pods, of) // it has only just started
		}
	}
	return pods, nil
}
