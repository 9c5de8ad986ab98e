// Package lab runs a real cell on one machine: a Kubernetes cluster of one control plane and three
// nodes, one in each of the zones a, b and c, every node with its own kubelet and containerd. It is
// for tests and for people who want to see one. It needs root, and there is one lab per machine.
//
// All of it lives in one network namespace and one mount namespace, below one cgroup and one
// directory, so that Down leaves nothing:
//
//	/run/netns/myriad-lab    the network namespace
//	myriad-lab0              the host's end of the link into it (10.252.0.1); routes to pods and services
//	/sys/fs/cgroup/*/myriad-lab/{system,a,b,c}
//	<dir>/bin                this program, as the lab runs it
//	<dir>/identity, pki      the cluster's authorities and certificates
//	<dir>/kubeconfig         for people and tests
//	<dir>/supervisor         all programs, run by the supervisor of internal/runtime/process
//	<dir>/zones/<zone>       a node: containerd, kubelet, cni, volumes
//
// A zone fails by its cgroup: Fail kills or freezes everything in it, and Restore lets it run again.
package lab
