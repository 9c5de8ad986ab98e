// Package hub_test tests the hub's controllers against a real kube-apiserver and etcd.
package hub_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/myriad-fleet/myriad/internal/hub"
	"github.com/myriad-fleet/myriad/internal/pki"
	"github.com/myriad-fleet/myriad/test/apiserver"
)

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
	set, err := apiserver.Distribution()
	if err != nil {
		return 1, err
	}
	environment, err := apiserver.Start(set, authority, nil)
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

// as is a connection to the API server under that name.
func as(user string, groups ...string) *rest.Config {
	config, err := apiserver.WithCertificate(server.config, server.authority, user, groups...)
	if err != nil {
		panic(err)
	}
	return config
}
