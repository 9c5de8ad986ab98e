package controlplane

import (
	"strconv"

	"github.com/myriad-fleet/myriad/internal/pki"
)

// clientArgs are the flags that the controller manager and the scheduler share.
func (r *renderer) clientArgs(c *Component, port int) []string {
	kubeconfig := configPath(kubeconfigFile)
	return []string{
		"--kubeconfig=" + kubeconfig,
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=" + bindAddress(c.Host, r.AnyAddress),
		"--secure-port=" + strconv.Itoa(port),
		"--tls-cert-file=" + configPath(serving+".crt"),
		"--tls-private-key-file=" + configPath(serving+".key"),
		"--tls-min-version=VersionTLS12",
		"--profiling=false",
		// One alone need not wait for a Lease to run out when it comes back.
		"--leader-elect=" + strconv.FormatBool(r.zonal()),
	}
}

// addClient gives a component what it needs to be a client of its zone's API server: a user that is
// named after it, and its kubeconfig.
func (r *renderer) addClient(c *Component, port int) error {
	kubeconfig, err := pki.Kubeconfig{
		Name:            r.Order.ID,
		Server:          httpsURL(r.sibling(APIServer, c.Zone), APIServerPort),
		CAFile:          clusterCAFile,
		CertificateFile: client + ".crt",
		KeyFile:         client + ".key",
	}.Marshal()
	if err != nil {
		return err
	}
	c.After = []string{InstanceName(APIServer, c.Zone)}
	c.Files = append(c.Files, identityFile(clusterCAFile, false), File{Path: kubeconfigFile, Content: kubeconfig})
	c.Files = append(append(c.Files, leafFiles(serving)...), leafFiles(client)...)
	c.Certificates = []Certificate{
		{Name: serving, Authority: ClusterCA, CommonName: string(c.Kind), Names: []string{c.Host}, Server: true},
		{Name: client, Authority: ClusterCA, CommonName: "system:" + string(c.Kind), Client: true},
	}
	c.Probe = &Probe{Address: hostPort(c.Host, port), Path: "/healthz", CAFile: clusterCAFile}
	return nil
}
