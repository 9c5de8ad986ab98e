// Package bootstrap does inside a new guest what Myriad needs there: it binds the groups of the
// certificates that are handed out, and waits until pods could be made.
package bootstrap

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	core "k8s.io/client-go/kubernetes/typed/core/v1"
	rbac "k8s.io/client-go/kubernetes/typed/rbac/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/pki"
)

const (
	// user and group of the agent in a guest. The group is Kubernetes' own super-user: the bindings
	// that would make do with less are what the agent has yet to write.
	user, group = "myriad:agent", "system:masters"
	// lifetime of the agent's certificate, which is made in memory for one bootstrap.
	lifetime = 10 * time.Minute
	// retryAfter is the pause after an API server that has just become ready refused something.
	retryAfter = 100 * time.Millisecond
	// serviceAccount is the last thing that kube-controller-manager makes in a namespace: with it,
	// pods can be created.
	serviceAccount = "default"

	// revision of what a bootstrap does, as a note holds it. It grows with each binding that is added:
	// 2 has controlplane.MonitoringGroup. The notes of revision 1 are empty.
	revision = "2"

	fileMode = 0o600
	dirMode  = 0o700
)

// Guest to bootstrap.
type Guest struct {
	// ID of the guest.
	ID string
	// Address (host:port) of one of its API servers.
	Address string
	// Identity that the agent makes its own certificate from.
	Identity pki.Identity
}

// Bootstrapper bootstraps guests and remembers on disk which ones it has done, one file each.
type Bootstrapper struct {
	dir   string
	clock clock.Clock
}

// New keeps its notes under dir, which is made if need be.
func New(dir string, clk clock.Clock) *Bootstrapper { return &Bootstrapper{dir: dir, clock: clk} }

// Done tells whether the guest has been bootstrapped, by this agent or an older one.
func (b *Bootstrapper) Done(id string) bool {
	_, err := os.Stat(b.file(id))
	return err == nil
}

// Current tells whether nothing has been added to what a bootstrap does since the guest's. One that is
// done and not current serves; what it lacks comes with another Run.
func (b *Bootstrapper) Current(id string) bool {
	note, err := os.ReadFile(b.file(id))
	return err == nil && string(note) == revision
}

// Remove forgets a guest. It may be called again.
func (b *Bootstrapper) Remove(id string) error {
	if err := os.RemoveAll(b.file(id)); err != nil {
		return fmt.Errorf("guest %s: forget its bootstrap: %w", id, err)
	}
	return nil
}

// Run bootstraps a guest whose API server answers. It tries until the context ends, keeps no
// connection, and may be called again.
func (b *Bootstrapper) Run(ctx context.Context, guest Guest) error {
	client, err := b.client(guest)
	if err != nil {
		return fmt.Errorf("guest %s: bootstrap: %w", guest.ID, err)
	}
	defer client.CloseIdleConnections()
	config := &rest.Config{Host: "https://" + guest.Address, QPS: -1}
	for _, step := range []struct {
		name string
		run  func(context.Context, *rest.Config, *http.Client) error
	}{
		{"bind the groups of certificates", bindGroups},
		{"wait for the default ServiceAccount", awaitServiceAccount},
	} {
		if err := b.insist(ctx, func() error { return step.run(ctx, config, client) }); err != nil {
			return fmt.Errorf("guest %s: bootstrap: %s: %w", guest.ID, step.name, err)
		}
	}
	if err := os.MkdirAll(b.dir, dirMode); err != nil {
		return fmt.Errorf("guest %s: note its bootstrap: %w", guest.ID, err)
	}
	if err := renameio.WriteFile(b.file(guest.ID), []byte(revision), fileMode); err != nil {
		return fmt.Errorf("guest %s: note its bootstrap: %w", guest.ID, err)
	}
	return nil
}

// insist runs a step until it succeeds or the context ends, and then says what went wrong last.
func (b *Bootstrapper) insist(ctx context.Context, step func() error) error {
	for {
		err := step()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-b.clock.After(retryAfter):
		}
	}
}

// client is an HTTP client of its own: client-go would keep one per guest for ever.
func (b *Bootstrapper) client(guest Guest) (*http.Client, error) {
	authority, err := guest.Identity.Authority(string(controlplane.ClusterCA))
	if err != nil {
		return nil, err
	}
	leaf := pki.Leaf{CommonName: user, Organizations: []string{group}, Client: true, Lifetime: lifetime}
	certificate, key, err := authority.Issue(leaf, b.clock.Now())
	if err != nil {
		return nil, fmt.Errorf("issue the agent's certificate: %w", err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("read the agent's certificate: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(authority.Certificate)
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2: true,
	}}, nil
}

// bindings of a guest: what each group may do in it.
func bindings() map[string]string {
	return map[string]string{
		v1alpha1.GroupAdmins:  "cluster-admin",
		v1alpha1.GroupViewers: "view",
		// API servers speak to kubelets as this group.
		controlplane.KubeletClientGroup: "system:kubelet-api-admin",
		// The agent reads the guest's load as this group.
		controlplane.MonitoringGroup: "system:monitoring",
	}
}

func bindGroups(ctx context.Context, config *rest.Config, client *http.Client) error {
	api, err := rbac.NewForConfigAndClient(config, client)
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	for name, role := range bindings() {
		_, err := api.ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: name}},
		}, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create ClusterRoleBinding %s: %w", name, err)
		}
	}
	return nil
}

// awaitServiceAccount watches without listing first: such a watch starts with what exists.
func awaitServiceAccount(ctx context.Context, config *rest.Config, client *http.Client) error {
	api, err := core.NewForConfigAndClient(config, client)
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	events, err := api.ServiceAccounts(metav1.NamespaceDefault).Watch(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("metadata.name", serviceAccount).String(),
	})
	if err != nil {
		return fmt.Errorf("watch ServiceAccount %s: %w", serviceAccount, err)
	}
	defer events.Stop()
	for event := range events.ResultChan() {
		if event.Type == watch.Added {
			return nil
		}
	}
	return fmt.Errorf("the watch of ServiceAccount %s ended before there was one", serviceAccount)
}

func (b *Bootstrapper) file(id string) string { return filepath.Join(b.dir, id) }
