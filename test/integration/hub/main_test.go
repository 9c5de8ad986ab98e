// Package hub_test tests the hub's controllers against a real kube-apiserver and etcd.
package hub_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/myriad-fleet/myriad/internal/distribution"
	"github.com/myriad-fleet/myriad/internal/hub"
	"github.com/myriad-fleet/myriad/internal/pki"
)

// defaultDistro is where 'make distro' puts the programs, seen from this directory.
const defaultDistro = "../../../out/distro"

// server is the API server of all tests in this package, with the hub's controllers at work on it.
// Tests keep apart by regions, cells and namespaces of their own.
var server struct {
	config    *rest.Config // without an identity
	authority *pki.Authority
	etcd      string // its address, without a slash at the end
}

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	authority, err := pki.NewAuthority("myriad hub test", time.Now(), 24*time.Hour)
	if err != nil {
		return 1, err
	}
	environment, err := startServer(authority)
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, environment.Stop()) }()
	server.authority = authority
	server.etcd = environment.ControlPlane.Etcd.URL.String()
	server.config = rest.AnonymousClientConfig(environment.Config)

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if err := hub.Install(ctx, as("operator", "system:masters")); err != nil {
		return 1, err
	}
	ended := make(chan error, 1)
	go func() {
		ended <- hub.Run(ctx, hub.Options{
			Config:         as("myriad:hub", "myriad:hubs"),
			AgentAuthority: authority,
			Log:            slog.New(slog.NewTextHandler(logWriter(), &slog.HandlerOptions{Level: slog.LevelWarn})),
		})
	}()
	code = m.Run()
	cancel()
	return code, <-ended
}

// logWriter shows the controllers' warnings when somebody wants to see them.
func logWriter() *os.File {
	if testing.Verbose() {
		return os.Stderr
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return os.Stderr
	}
	return null
}

func startServer(authority *pki.Authority) (*envtest.Environment, error) {
	directory := os.Getenv("MYRIAD_DISTRO")
	if directory == "" {
		directory = defaultDistro
	}
	set, err := distribution.Open(directory)
	if err != nil {
		return nil, fmt.Errorf("these tests need real programs; run 'make distro', or set MYRIAD_DISTRO: %w", err)
	}
	apiServer, err := newest(set, "kube-apiserver", set.KubernetesVersions)
	if err != nil {
		return nil, err
	}
	etcd, err := newest(set, "etcd", set.EtcdVersions)
	if err != nil {
		return nil, err
	}
	environment := &envtest.Environment{ControlPlane: envtest.ControlPlane{
		APIServer: &envtest.APIServer{Path: apiServer, SecureServing: envtest.SecureServing{Authn: &clientAuthority{authority: authority}}},
		Etcd:      &envtest.Etcd{Path: etcd},
	}, ControlPlaneStartTimeout: time.Minute, ControlPlaneStopTimeout: time.Minute}
	if _, err := environment.Start(); err != nil {
		return nil, fmt.Errorf("start etcd and kube-apiserver: %w", err)
	}
	return environment, nil
}

func newest(set *distribution.Set, program string, versions func() ([]string, error)) (string, error) {
	known, err := versions()
	if err != nil {
		return "", fmt.Errorf("find %s; run 'make distro', or set MYRIAD_DISTRO: %w", program, err)
	}
	if len(known) == 0 {
		return "", fmt.Errorf("find %s: MYRIAD_DISTRO holds no version of it; run 'make distro'", program)
	}
	return set.Path(program, known[len(known)-1])
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
	return withCertificate(base, c.authority, user.Name, user.Groups...)
}

// Stop is part of envtest.Authn.
func (c *clientAuthority) Stop() error { return nil }

func withCertificate(base *rest.Config, authority *pki.Authority, user string, groups ...string) (*rest.Config, error) {
	certificate, key, err := authority.Issue(pki.Leaf{CommonName: user, Organizations: groups, Client: true, Lifetime: time.Hour}, time.Now())
	if err != nil {
		return nil, fmt.Errorf("issue a certificate for %s: %w", user, err)
	}
	config := rest.CopyConfig(base)
	config.CertData, config.KeyData = certificate, key
	return config, nil
}

// as is a connection to the API server under that name.
func as(user string, groups ...string) *rest.Config {
	config, err := withCertificate(server.config, server.authority, user, groups...)
	if err != nil {
		panic(err)
	}
	config.QPS, config.Burst = 500, 1000
	return config
}
