package plots

// The parts that CPU and memory are split by.
const (
	PartHub         = "hub"
	PartEtcd        = "etcd"
	PartAPIServer   = "kube-apiserver"
	PartControllers = "kube-controller-manager"
	PartAgents      = "agents"
	PartAgent       = "agent"
	PartGenerator   = "generator"
)

// Parts in the order in which they are shown.
var Parts = []string{PartHub, PartEtcd, PartAPIServer, PartControllers, PartAgents, PartAgent, PartGenerator}
