// Package apiserver runs a real etcd and kube-apiserver of the distribution for integration tests.
package apiserver

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/myriad-fleet/myriad/internal/distribution"
	"github.com/myriad-fleet/myriad/internal/pki"
)

const (
	// defaultDistro is where 'make distro' puts the programs, seen from a package in test/integration.
	defaultDistro = "../../../out/distro"
	// patience is for a start or an end on a machine that has other work.
	patience = time.Minute
)

// Distribution is what MYRIAD_DISTRO names, by default the directory that 'make distro' fills.
func Distribution() (*distribution.Set, error) {
	directory := os.Getenv("MYRIAD_DISTRO")
	if directory == "" {
		directory = defaultDistro
	}
	set, err := distribution.Open(directory)
	if err != nil {
		return nil, fmt.Errorf("these tests need real programs; run 'make distro', or set MYRIAD_DISTRO: %w", err)
	}
	return set, nil
}

// Newest is the path of the newest version of a program in a distribution.
func Newest(set *distribution.Set, program string) (string, error) {
	versions := set.KubernetesVersions
	if program == "etcd" {
		versions = set.EtcdVersions
	}
	known, err := versions()
	if err != nil {
		return "", fmt.Errorf("find %s; run 'make distro', or set MYRIAD_DISTRO: %w", program, err)
	}
	if len(known) == 0 {
		return "", fmt.Errorf("find %s: MYRIAD_DISTRO holds no version of it; run 'make distro'", program)
	}
	return set.Path(program, known[len(known)-1])
}

// Start runs etcd and kube-apiserver until the environment is stopped. Clients is the authority of client
// certificates; nil for one of envtest's own. A flag of the API server is a name without dashes.
func Start(set *distribution.Set, clients *pki.Authority, flags map[string]string) (*envtest.Environment, error) {
	program, err := Newest(set, "kube-apiserver")
	if err != nil {
		return nil, err
	}
	etcd, err := Newest(set, "etcd")
	if err != nil {
		return nil, err
	}
	server := &envtest.APIServer{Path: program}
	if clients != nil {
		server.Authn = &clientAuthority{authority: clients}
	}
	for name, value := range flags {
		server.Configure().Append(name, value)
	}
	environment := &envtest.Environment{
		ControlPlane:             envtest.ControlPlane{APIServer: server, Etcd: &envtest.Etcd{Path: etcd}},
		ControlPlaneStartTimeout: patience, ControlPlaneStopTimeout: patience,
	}
	if _, err := environment.Start(); err != nil {
		return nil, fmt.Errorf("start etcd and kube-apiserver: %w", err)
	}
	return environment, nil
}

// clientAuthority makes the API server believe client certificates of our own authority, as the
// hub's does.
type clientAuthority struct {
	authority *pki.Authority
	directory string
}

func (c *clientAuthority) file() string { return filepath.Join(c.directory, "clients.crt") }

// Configure is part of envtest.Authn.
func (c *clientAuthority) Configure(directory string, arguments *envtest.Arguments) error {
	c.directory = directory
	arguments.Set("client-ca-file", c.file())
	return nil
}

// Start is part of envtest.Authn.
func (c *clientAuthority) Start() error {
	return os.WriteFile(c.file(), c.authority.CertificatePEM(), 0o600)
}

// AddUser is part of envtest.Authn.
func (c *clientAuthority) AddUser(user envtest.User, base *rest.Config) (*rest.Config, error) {
	return WithCertificate(base, c.authority, user.Name, user.Groups...)
}

// Stop is part of envtest.Authn.
func (c *clientAuthority) Stop() error { return nil }

// WithCertificate is a connection under a name, with a certificate for an hour.
func WithCertificate(base *rest.Config, authority *pki.Authority, user string, groups ...string) (*rest.Config, error) {
	certificate, key, err := authority.Issue(pki.Leaf{CommonName: user, Organizations: groups, Client: true, Lifetime: time.Hour}, time.Now())
	if err != nil {
		return nil, fmt.Errorf("issue a certificate for %s: %w", user, err)
	}
	config := rest.CopyConfig(base)
	config.CertData, config.KeyData = certificate, key
	config.QPS, config.Burst = 500, 1000
	return config, nil
}
