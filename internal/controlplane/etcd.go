package controlplane

import (
	"slices"
	"strconv"
	"strings"
)

const (
	// largestEtcdQuota in bytes is the largest database that etcd suggests for normal use
	// (https://etcd.io/docs/v3.6/dev-guide/limit/). It takes disk only when it is used, and raising
	// it later would restart etcd.
	largestEtcdQuota = 8 << 30
	// etcdPeerName is the common name of peer certificates. Only it may join the raft group: API
	// servers hold certificates of the same authority.
	etcdPeerName = "etcd-peer"
	// peer and probe name the member's other two certificates.
	peer  = "peer"
	probe = "probe"
	// etcdStopSeconds: a member moves its leadership (up to 7 s) before it ends.
	etcdStopSeconds = 20

	etcdCAFile = string(EtcdCA) + ".crt"
)

// etcd renders one member. All members can start at once: none waits for another.
func (r *renderer) etcd(c *Component) {
	c.Version, c.Size = r.Order.EtcdVersion, r.Order.Size.Etcd
	c.StopSeconds = etcdStopSeconds
	c.Args, c.FirstArgs = r.etcdArgs(c), r.etcdFirstArgs(c)
	if !r.defaults.sealsEtcd {
		// Earlier revisions kept them where the rest is, as if etcd were to start anew for ever.
		c.Args = slices.Insert(c.Args, etcdFirstArgsAt, c.FirstArgs...)
		c.FirstArgs = nil
	}
	if r.AnyAddress {
		c.Args = append(c.Args, "--listen-metrics-urls=http://"+hostPort(bindAddress(c.Host, true), EtcdHealthPort))
	}
	c.Files = append(c.Files, identityFile(etcdCAFile, false))
	for _, name := range []string{serving, peer, probe} {
		c.Files = append(c.Files, leafFiles(name)...)
	}
	c.Certificates = []Certificate{
		{Name: serving, Authority: EtcdCA, CommonName: "etcd", Names: []string{c.Host}, Server: true},
		{Name: peer, Authority: EtcdCA, CommonName: etcdPeerName, Names: []string{c.Host}, Server: true, Client: true},
		{Name: probe, Authority: EtcdCA, CommonName: "etcd-probe", Client: true},
	}
	c.Probe = &Probe{
		Address:  hostPort(c.Host, EtcdMetricsPort),
		Path:     "/readyz", // includes a linearizable read: true only with a quorum
		CertFile: probe + ".crt",
		KeyFile:  probe + ".key",
		CAFile:   etcdCAFile,
	}
	if r.AnyAddress {
		// A kubelet has no client certificate of the guest's.
		c.Probe = &Probe{Address: hostPort(c.Host, EtcdHealthPort), Path: "/readyz", Plain: true}
	}
}

func (r *renderer) etcdArgs(c *Component) []string {
	bind := bindAddress(c.Host, r.AnyAddress)
	return []string{
		"--name=" + c.Name,
		"--data-dir=" + DataDir + "/etcd",
		"--listen-client-urls=" + httpsURL(bind, EtcdClientPort),
		"--advertise-client-urls=" + httpsURL(c.Host, EtcdClientPort),
		"--listen-peer-urls=" + httpsURL(bind, EtcdPeerPort),
		"--initial-advertise-peer-urls=" + httpsURL(c.Host, EtcdPeerPort),
		// Metrics and health. Left on the client port, HTTP would share its connections with gRPC,
		// which etcd warns of.
		"--listen-client-http-urls=" + httpsURL(bind, EtcdMetricsPort),
		"--cert-file=" + configPath(serving+".crt"),
		"--key-file=" + configPath(serving+".key"),
		"--client-cert-auth=true",
		"--trusted-ca-file=" + configPath(etcdCAFile),
		"--peer-cert-file=" + configPath(peer+".crt"),
		"--peer-key-file=" + configPath(peer+".key"),
		"--peer-client-cert-auth=true",
		"--peer-trusted-ca-file=" + configPath(etcdCAFile),
		"--peer-cert-allowed-cn=" + etcdPeerName,
		// A peer's connections come from another address than the one it listens on: from a pod's
		// and not its Service's, from 127.0.0.1 and not its own loopback address.
		"--peer-skip-client-san-verification=true",
		"--tls-min-version=TLS1.3",
		"--enable-grpc-gateway=false", // nobody speaks JSON to it
		"--quota-backend-bytes=" + strconv.FormatInt(r.etcdQuota(), 10),
		// kube-apiserver compacts every 5 minutes; this bounds the history while none runs.
		"--auto-compaction-mode=periodic",
		"--auto-compaction-retention=1h",
		"--watch-progress-notify-interval=5s", // kubeadm's: keeps watch caches fresh for consistent reads
		"--log-outputs=stderr",
		// Not InitialCorruptCheck: a member waits 7 s for each peer that does not serve yet, which
		// costs 14 s when three start at once and more than a hung zone's budget.
	}
}

// etcdQuota is the largest database in bytes. It never changes in the life of a guest.
func (r *renderer) etcdQuota() int64 {
	if r.defaults.tunes && r.Order.EtcdQuotaBytes > 0 {
		return r.Order.EtcdQuotaBytes
	}
	return largestEtcdQuota
}

// etcdFirstArgsAt is where in etcdArgs the first arguments stood in revisions that had no FirstArgs.
const etcdFirstArgsAt = 7

// etcdFirstArgs are read only while the data directory is empty: by a new cluster, by a member that
// joins one, and otherwise never, unless the data was lost. Then the member must not come back as if
// nothing had been: alone it would serve an empty cluster, and with its old id and an empty log it
// could vote twice. So a sealed member is told to join a cluster of itself alone, and refuses.
func (r *renderer) etcdFirstArgs(c *Component) []string {
	cluster, state := r.initialCluster(), "new"
	switch r.EtcdStarts[c.Name] {
	case EtcdJoin:
		state = "existing"
	case EtcdSealed:
		cluster, state = c.Name+"="+httpsURL(c.Host, EtcdPeerPort), "existing"
	case EtcdNew:
	}
	return []string{
		"--initial-cluster=" + cluster,
		"--initial-cluster-state=" + state,
		"--initial-cluster-token=" + r.Order.ID,
	}
}

// initialCluster lists all members in the order of their zones.
func (r *renderer) initialCluster() string {
	var members []string
	for _, instance := range Instances(&r.Order, r.Profile) {
		if instance.Kind == Etcd {
			members = append(members, instance.Name+"="+httpsURL(r.Hosts[instance.Name], EtcdPeerPort))
		}
	}
	return strings.Join(members, ",")
}
