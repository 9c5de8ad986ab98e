package controlplane

import (
	"strconv"

	"github.com/myriad-fleet/myriad/internal/network"
)

const (
	// controllerManagerStopSeconds: its controllers have 10 s to end.
	controllerManagerStopSeconds = 15
	// controllerRequests per second that it may send, without tuning. At its start it asks for a service
	// account and a token per controller. With the default of 20 requests/s that takes 5 s, and as long until a
	// new guest has its default ServiceAccount.
	controllerRequests = 100
)

// controllerManager renders one controller manager. It talks to its own zone's API server, so that a
// zone dies whole and its twin in another zone takes over.
func (r *renderer) controllerManager(c *Component) error {
	c.Size, c.StopSeconds = r.Order.Size.ControllerManager, controllerManagerStopSeconds
	rate := controllerRequests
	if tuning := r.tuning(); tuning != nil {
		rate = int(tuning.ControllerRequestsPerSecond)
	}
	c.Args = append(r.clientArgs(c, ControllerManagerPort),
		"--use-service-account-credentials=true",
		"--kube-api-qps="+strconv.Itoa(rate),
		"--kube-api-burst="+strconv.Itoa(2*rate),
	)
	if r.Profile == Hub {
		// The fleet's own API has no workloads: namespaces must end, and what is owned must follow.
		c.Args = append(c.Args, "--controllers=namespace-controller,garbage-collector-controller")
		return r.addClient(c, ControllerManagerPort)
	}
	c.Args = append(c.Args,
		"--cluster-name="+r.Order.ID,
		"--allocate-node-cidrs=true",
		"--cluster-cidr="+r.Order.Network.PodCIDR,
		"--service-cluster-ip-range="+r.Order.Network.ServiceCIDR,
		"--root-ca-file="+configPath(clusterCAFile),
		"--service-account-private-key-file="+configPath(serviceAccountKey),
		"--cluster-signing-cert-file="+configPath(clusterCAFile),
		"--cluster-signing-key-file="+configPath(clusterCAKeyFile),
	)
	if r.Order.Network.VPC != "" {
		c.Args = append(c.Args, "--node-cidr-mask-size="+strconv.Itoa(network.NodeBits(r.Order.Network)))
	}
	c.Files = []File{identityFile(clusterCAKeyFile, false), identityFile(serviceAccountKey, false)}
	return r.addClient(c, ControllerManagerPort)
}
