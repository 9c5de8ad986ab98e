package objects

import (
	"fmt"
	"net"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/myriad-fleet/myriad/internal/controlplane"
)

// timing of a probe: seconds, and failures in a row until it counts.
type timing struct{ period, timeout, failures int32 }

var (
	// starting asks every second, so that a start is noticed at once, and asks what readiness asks:
	// the readiness probe then runs within the same instant. For an hour nobody is killed who does
	// not answer: with many starts on few cores, without a quorum, or as a learner that still copies
	// its data, killing only makes it longer.
	starting = timing{period: 1, timeout: 5, failures: 3600}
	// serving only informs: Services lead to pods that are not ready, and gateways probe themselves.
	serving = timing{period: 2, timeout: 3, failures: 3}
	// living restarts what has hung for good, after 80 to 120 s: kubeadm's figures
	// (cmd/kubeadm/app/util/staticpod, LivenessProbe). A machine that stalls for a minute, and all of
	// whose containers are behind, does not get a storm of restarts on top.
	living = timing{period: 10, timeout: 15, failures: 8}
)

// livePaths answer as long as the process itself works. What it depends on is left out, for a restart
// would not mend that: etcd's other members (it reads from its own copy only), the API server's etcd.
var livePaths = map[controlplane.Kind]string{
	controlplane.Etcd:              "/livez",
	controlplane.APIServer:         "/livez?exclude=etcd",
	controlplane.ControllerManager: "/healthz",
	controlplane.Scheduler:         "/healthz",
}

// addProbes derives the kubelet's probes from the component's. They go to the pod's own address.
func addProbes(container *applycorev1.ContainerApplyConfiguration, c *controlplane.Component) error {
	if c.Probe == nil {
		return nil
	}
	if c.Probe.Socket != "" || c.Probe.CertFile != "" {
		return fmt.Errorf("probe: a kubelet asks over TCP and without a client certificate: render the manifest with AnyAddress")
	}
	_, text, err := net.SplitHostPort(c.Probe.Address)
	if err != nil {
		return fmt.Errorf("probe: address %q: want host:port: %w", c.Probe.Address, err)
	}
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil || number == 0 {
		return fmt.Errorf("probe: address %q: want a port of 1 to 65535", c.Probe.Address)
	}
	scheme := corev1.URISchemeHTTPS
	if c.Probe.Plain {
		scheme = corev1.URISchemeHTTP
	}
	get := func(path string, t timing) *applycorev1.ProbeApplyConfiguration {
		return applycorev1.Probe().
			WithHTTPGet(applycorev1.HTTPGetAction().
				WithScheme(scheme).WithPort(intstr.FromInt32(int32(number))).WithPath(path)).
			WithPeriodSeconds(t.period).WithTimeoutSeconds(t.timeout).
			WithFailureThreshold(t.failures).WithSuccessThreshold(1)
	}
	container.
		WithStartupProbe(get(c.Probe.Path, starting)).
		WithReadinessProbe(get(c.Probe.Path, serving)).
		WithLivenessProbe(get(livePaths[c.Kind], living))
	return nil
}
