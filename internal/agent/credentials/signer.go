// Package credentials signs the client certificates that people ask for: for one guest, for a short
// time, with groups from a fixed list.
package credentials

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/agent/orders"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/pki"
)

// Bounds of a certificate's lifetime; those of ClusterCredentialSpec.ExpirationSeconds.
const (
	minLifetime     = 10 * time.Minute
	maxLifetime     = 7 * 24 * time.Hour
	defaultLifetime = 24 * time.Hour
)

// firstRetry and lastRetry bound the pause before a request is looked at again.
const firstRetry, lastRetry = 100 * time.Millisecond, 10 * time.Second

// groups is the fixed list: each role is one group in the guest.
var groups = map[v1alpha1.CredentialRole]string{
	v1alpha1.CredentialAdmin:  v1alpha1.GroupAdmins,
	v1alpha1.CredentialViewer: v1alpha1.GroupViewers,
}

// reserved are the beginnings of names that no person may have in a guest.
var reserved = []string{"system:", "myriad:"}

// errNoGuest says that the cell has no such guest, or none that certificates are given out for.
var errNoGuest = errors.New("the cell has no such guest")

// Hub holds the requests and takes the answers.
type Hub interface {
	Credential(name string) *v1alpha1.ClusterCredential
	ApplyCredential(ctx context.Context, name string, status v1alpha1.ClusterCredentialStatus) error
}

// Orders tells which guests the cell has.
type Orders interface {
	Get(id string) orders.Order
}

// Identities holds the guests' authorities.
type Identities interface {
	Load(id string) (pki.Identity, error)
}

// Options of a Signer.
type Options struct {
	Hub        Hub
	Orders     Orders
	Identities Identities
	Clock      clock.WithTicker
	Log        *slog.Logger
}

// Signer answers requests one after the other.
type Signer struct {
	Options
	queue workqueue.TypedRateLimitingInterface[string]
}

// New makes a Signer; Run makes it work.
func New(options Options) *Signer {
	return &Signer{Options: options, queue: workqueue.NewTypedRateLimitingQueueWithConfig(
		workqueue.NewTypedItemExponentialFailureRateLimiter[string](firstRetry, lastRetry),
		workqueue.TypedRateLimitingQueueConfig[string]{Clock: options.Clock})}
}

// Enqueue has a request looked at soon.
func (s *Signer) Enqueue(name string) { s.queue.Add(name) }

// Run works until the context ends.
func (s *Signer) Run(ctx context.Context) {
	stop := context.AfterFunc(ctx, s.queue.ShutDown)
	defer stop()
	for {
		name, shutdown := s.queue.Get()
		if shutdown {
			return
		}
		if err := s.Answer(ctx, name); err != nil {
			s.Log.Debug("a request for a certificate waits", "credential", name, "reason", err)
			s.queue.AddRateLimited(name)
		} else {
			s.queue.Forget(name)
		}
		s.queue.Done(name)
	}
}

// Answer signs or refuses one request. An error means that it is too early for either.
func (s *Signer) Answer(ctx context.Context, name string) error {
	credential := s.Hub.Credential(name)
	if credential == nil || answered(credential) {
		return nil
	}
	identity, err := s.identity(credential.Spec.Cluster)
	if err != nil {
		return err
	}
	status := Decide(credential.Spec, identity, s.Clock.Now())
	if err := s.Hub.ApplyCredential(ctx, name, status); err != nil {
		return err
	}
	s.Log.Info("answered a request for a certificate", "credential", name, "guest", credential.Spec.Cluster,
		"user", credential.Spec.User, "role", credential.Spec.Role, "answer", status.Conditions[0].Reason)
	return nil
}

func (s *Signer) identity(id string) (pki.Identity, error) {
	order := s.Orders.Get(id)
	if order.Spec == nil || order.Entombed || order.Spec.SupersededBy > order.Spec.Epoch {
		return nil, fmt.Errorf("guest %s: %w", id, errNoGuest)
	}
	identity, err := s.Identities.Load(id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("guest %s: its identity is not made yet: %w", id, err)
	}
	return identity, err
}

func answered(credential *v1alpha1.ClusterCredential) bool {
	if credential.Status.Certificate != "" {
		return true
	}
	for _, condition := range credential.Status.Conditions {
		if condition.Type == v1alpha1.ConditionReady && condition.Reason == v1alpha1.ReasonRefused {
			return true
		}
	}
	return false
}

// Decide signs the request, or refuses it and says why. Of the request only the public key is used.
func Decide(spec v1alpha1.ClusterCredentialSpec, identity pki.Identity, now time.Time) v1alpha1.ClusterCredentialStatus {
	status := v1alpha1.ClusterCredentialStatus{CABundle: string(identity[string(controlplane.ClusterCA)+".crt"])}
	certificate, expires, err := sign(spec, identity, now)
	condition := metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, LastTransitionTime: metav1.NewTime(now).Rfc3339Copy(),
		Reason: v1alpha1.ReasonSigned, Message: "the certificate is in status.certificate",
	}
	if err != nil {
		condition.Status, condition.Reason, condition.Message = metav1.ConditionFalse, v1alpha1.ReasonRefused, err.Error()
	} else {
		at := metav1.NewTime(expires)
		status.Certificate, status.Expires = string(certificate), &at
	}
	status.Conditions = []metav1.Condition{condition}
	return status
}

func sign(spec v1alpha1.ClusterCredentialSpec, identity pki.Identity, now time.Time) ([]byte, time.Time, error) {
	group, ok := groups[spec.Role]
	if !ok {
		return nil, time.Time{}, fmt.Errorf("role %q: use %s or %s", spec.Role, v1alpha1.CredentialAdmin, v1alpha1.CredentialViewer)
	}
	for _, prefix := range reserved {
		if strings.HasPrefix(strings.ToLower(strings.TrimSpace(spec.User)), prefix) {
			return nil, time.Time{}, fmt.Errorf("user %q: names that start with %q are not given out; choose another", spec.User, prefix)
		}
	}
	request, err := pki.ParseRequest([]byte(spec.Request))
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("request: %w", err)
	}
	authority, err := identity.Authority(string(controlplane.ClusterCA))
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("the guest's authority: %w", err)
	}
	leaf := pki.Leaf{CommonName: spec.User, Organizations: []string{group}, Client: true, Lifetime: lifetime(spec)}
	certificate, err := authority.Sign(leaf, request.PublicKey, now)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("sign: %w", err)
	}
	signed, err := pki.ParseCertificate(certificate)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read back the certificate: %w", err)
	}
	return certificate, signed.NotAfter, nil
}

func lifetime(spec v1alpha1.ClusterCredentialSpec) time.Duration {
	if spec.ExpirationSeconds == 0 {
		return defaultLifetime
	}
	return min(max(time.Duration(spec.ExpirationSeconds)*time.Second, minLifetime), maxLifetime)
}
