package controlplane

import (
	_ "embed" // the API server's configuration files
	"fmt"
	"net/netip"
	"strconv"
	"time"
)

// KubeletClientGroup is the group of the API servers when they call kubelets. The agent binds it to
// the ClusterRole system:kubelet-api-admin.
const KubeletClientGroup = "myriad:kubelet-api"

const (
	// drainDelay is how long an API server of several still serves after SIGTERM while /readyz fails,
	// so that the gateways' probes notice and send new connections elsewhere. One alone has nowhere
	// to send them: it stops at once.
	drainDelay = 3 * time.Second
	// watchGrace bounds the orderly end of watches after that.
	watchGrace = 5 * time.Second
	// apiServerStopSeconds: drainDelay, watchGrace, 2 s to close connections, and then some for
	// requests that are still served.
	apiServerStopSeconds = 30

	// serviceAccountIssuer is where pods find the API server, and part of every token.
	serviceAccountIssuer = "https://kubernetes.default.svc.cluster.local"
	// frontProxyName is the only client that may speak for users to aggregated API servers.
	frontProxyName = "front-proxy-client"

	etcdClient       = "etcd-client"
	kubeletClient    = "kubelet-client"
	frontProxyClient = "front-proxy-client"

	frontProxyCAFile     = string(FrontProxyCA) + ".crt"
	authenticationFile   = "authentication.yaml"
	auditPolicyFile      = "audit-policy.yaml"
	encryptionFile       = "encryption.yaml"
	serviceAccountPublic = "service-account.pub"
)

//go:embed authentication.yaml
var authentication []byte

//go:embed audit-policy.yaml
var auditPolicy []byte

// apiServer renders one API server. It uses its own zone's etcd member only: a silent member in
// another zone would hold up its requests for 40 s.
func (r *renderer) apiServer(c *Component) error {
	names, err := r.apiServerNames(c.Host)
	if err != nil {
		return err
	}
	c.Size, c.StopSeconds = r.Order.Size.APIServer, apiServerStopSeconds
	c.After = []string{InstanceName(Etcd, c.Zone)}
	c.Args = r.apiServerArgs(c)
	c.Env = r.apiServerEnv()
	c.Files = []File{
		identityFile(clusterCAFile, true),
		identityFile(frontProxyCAFile, true),
		identityFile(etcdCAFile, false),
		identityFile(serviceAccountKey, false),
		identityFile(serviceAccountPublic, false),
		{Path: authenticationFile, Content: authentication, Live: true},
		{Path: auditPolicyFile, Content: auditPolicy},
		{Path: encryptionFile, From: EncryptionConfigFile},
	}
	for _, name := range []string{serving, etcdClient, kubeletClient, frontProxyClient} {
		c.Files = append(c.Files, leafFiles(name)...)
	}
	c.Certificates = []Certificate{
		{Name: serving, Authority: ClusterCA, CommonName: string(APIServer), Names: names, Server: true},
		{Name: etcdClient, Authority: EtcdCA, CommonName: string(APIServer), Client: true},
		{
			Name: kubeletClient, Authority: ClusterCA, Client: true,
			CommonName: "kube-apiserver-kubelet-client", Organizations: []string{KubeletClientGroup},
		},
		{Name: frontProxyClient, Authority: FrontProxyCA, CommonName: frontProxyName, Client: true},
	}
	c.Probe = &Probe{Address: hostPort(c.Host, APIServerPort), Path: "/readyz", CAFile: clusterCAFile}
	return nil
}

// apiServerEnv is about memory: how much more than is in use the heap may grow before it is collected, and
// above which size it is collected without end rather than grown.
func (r *renderer) apiServerEnv() []string {
	var env []string
	percent := r.defaults.apiServerGOGC
	if r.Profile == Hub && r.defaults.hubGOGC != 0 {
		percent = r.defaults.hubGOGC
	}
	if percent != 0 {
		env = append(env, "GOGC="+strconv.Itoa(percent))
	}
	if tuning := r.tuning(); tuning != nil && tuning.APIServerMemory != nil {
		env = append(env, "GOMEMLIMIT="+strconv.FormatInt(tuning.APIServerMemory.Value(), 10))
	}
	return env
}

// apiServerNames are all the names that clients verify an API server by: its own for its siblings, the
// gateways' for people and nodes, the Service's for pods.
func (r *renderer) apiServerNames(host string) ([]string, error) {
	services, err := netip.ParsePrefix(r.Order.Network.ServiceCIDR)
	if err != nil {
		return nil, fmt.Errorf("network.serviceCIDR: %w", err)
	}
	names := []string{
		host,
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
		services.Masked().Addr().Next().String(), // the Service "kubernetes" always has the first address
	}
	for _, name := range []string{r.Order.Endpoint.ServerName, r.Order.Endpoint.Address} {
		if name != "" && name != host {
			names = append(names, name)
		}
	}
	return names, nil
}

func (r *renderer) apiServerArgs(c *Component) []string {
	args := []string{
		"--bind-address=" + bindAddress(c.Host, r.AnyAddress),
		"--secure-port=" + strconv.Itoa(APIServerPort),
		// Nodes reach the API servers through the gateways: the agent publishes their address.
		"--endpoint-reconciler-type=none",
		"--service-cluster-ip-range=" + r.Order.Network.ServiceCIDR,
		"--allow-privileged=true",
		"--profiling=" + strconv.FormatBool(r.Profile == Hub && r.defaults.profilesHub),
	}
	if _, err := netip.ParseAddr(c.Host); err == nil {
		args = append(args, "--advertise-address="+c.Host)
	}
	args = append(args, r.storageArgs(c)...)
	args = append(args, authenticationArgs()...)
	args = append(args, aggregationArgs()...)
	args = append(args, auditArgs()...)
	return append(args, r.trafficArgs()...)
}

func (r *renderer) storageArgs(c *Component) []string {
	return []string{
		"--etcd-servers=" + httpsURL(r.sibling(Etcd, c.Zone), EtcdClientPort),
		"--etcd-cafile=" + configPath(etcdCAFile),
		"--etcd-certfile=" + configPath(etcdClient+".crt"),
		"--etcd-keyfile=" + configPath(etcdClient+".key"),
		"--encryption-provider-config=" + configPath(encryptionFile),
	}
}

func authenticationArgs() []string {
	return []string{
		"--tls-cert-file=" + configPath(serving+".crt"),
		"--tls-private-key-file=" + configPath(serving+".key"),
		"--tls-min-version=VersionTLS12",
		"--client-ca-file=" + configPath(clusterCAFile),
		"--authentication-config=" + configPath(authenticationFile),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--service-account-issuer=" + serviceAccountIssuer,
		// The default would be another one on every API server.
		"--service-account-jwks-uri=" + serviceAccountIssuer + "/openid/v1/jwks",
		"--service-account-key-file=" + configPath(serviceAccountPublic),
		"--service-account-signing-key-file=" + configPath(serviceAccountKey),
	}
}

// aggregationArgs are about the calls that an API server makes itself: to kubelets and to aggregated
// API servers.
func aggregationArgs() []string {
	return []string{
		"--kubelet-client-certificate=" + configPath(kubeletClient+".crt"),
		"--kubelet-client-key=" + configPath(kubeletClient+".key"),
		"--kubelet-certificate-authority=" + configPath(clusterCAFile),
		"--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
		"--requestheader-client-ca-file=" + configPath(frontProxyCAFile),
		"--requestheader-allowed-names=" + frontProxyName,
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + configPath(frontProxyClient+".crt"),
		"--proxy-client-key-file=" + configPath(frontProxyClient+".key"),
		"--enable-aggregator-routing=true", // no kube-proxy here: Services' addresses lead nowhere
	}
}

// auditArgs keep at most 300 MB per API server: the log is for the last days' questions, what must be
// kept is to be collected.
func auditArgs() []string {
	return []string{
		"--audit-policy-file=" + configPath(auditPolicyFile),
		"--audit-log-path=" + DataDir + "/audit/audit.log",
		"--audit-log-maxsize=50",
		"--audit-log-maxbackup=5",
		"--audit-log-maxage=30",
	}
}

// inFlight is how many reads and writes an API server works on at once; 0 leaves it upstream's defaults.
func (r *renderer) inFlight() (reads, writes int32) {
	switch tuning := r.Order.Tuning; {
	case r.defaults.tunes && tuning != nil:
		return tuning.MaxRequestsInFlight, tuning.MaxMutatingRequestsInFlight
	case r.Profile == Hub:
		// Every cell and gateway watches, and a started watch takes a seat: upstream's values for
		// more than 500 nodes (cluster/gce/gci/configure-kubeapiserver.sh).
		return 1500, 500
	}
	return 0, 0
}

// trafficArgs say how much is let in, and how it is let go.
func (r *renderer) trafficArgs() []string {
	var delay time.Duration
	if r.zonal() {
		delay = drainDelay
	}
	args := []string{
		"--shutdown-delay-duration=" + delay.String(),
		// What still comes is told to go elsewhere (429, Retry-After, GOAWAY), not cut. Without this it is
		// answered with 503 until the connection's GOAWAY is out.
		"--shutdown-send-retry-after=true",
		"--shutdown-watch-termination-grace-period=" + watchGrace.String(),
	}
	if r.defaults.tunes {
		// Gears have limits of nodes. With the default of a minute a burst of them is seen two minutes late.
		args = append(args, "--etcd-count-metric-poll-period=30s")
	}
	if reads, writes := r.inFlight(); reads > 0 {
		args = append(args,
			"--max-requests-inflight="+strconv.Itoa(int(reads)),
			"--max-mutating-requests-inflight="+strconv.Itoa(int(writes)))
	}
	return args
}
