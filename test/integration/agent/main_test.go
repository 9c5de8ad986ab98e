// Package agent_test tests the agent against a real kube-apiserver and etcd. The tests are the hub:
// they write the orders. The runtime is a fake that starts everything at once.
package agent_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/myriad-fleet/myriad/internal/hub"
	"github.com/myriad-fleet/myriad/internal/pki"
	"github.com/myriad-fleet/myriad/test/apiserver"
)

// server is the hub's API server of all tests in this package, without any controllers. Tests keep
// apart by cells of their own.
var server struct {
	config    *rest.Config // without an identity
	authority *pki.Authority
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
	server.authority, server.config = authority, rest.AnonymousClientConfig(environment.Config)
	operator, err := apiserver.WithCertificate(server.config, authority, "operator", "system:masters")
	if err != nil {
		return 1, err
	}
	if err := hub.Install(context.Background(), operator); err != nil {
		return 1, err
	}
	return m.Run(), nil
}
