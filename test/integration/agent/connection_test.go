package agent_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/agent"
	"github.com/myriad-fleet/myriad/internal/pki"
)

// logged waits until the log holds a text.
func (f *fixture) logged(text string) {
	f.t.Helper()
	f.eventually("the log says "+text, func() error {
		if !strings.Contains(f.log.String(), text) {
			return errors.New("it does not")
		}
		return nil
	})
}

// healed waits until the runtime, which has lost a guest, has it again.
func (f *fixture) healed(id string) {
	f.t.Helper()
	f.eventually("the guest is healed", func() error {
		if _, ok := f.runtime.manifest(id); !ok {
			return errors.New("the runtime does not have it")
		}
		return nil
	})
}

// TestHubAway: without the hub the agent heals its guests, also when it is started then; what it has to
// say is said when the hub is back.
func TestHubAway(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.start()
	order := f.order()
	f.awaitReady(order)
	f.line.cut()
	f.runtime.forget(order.Name)
	f.healed(order.Name)
	f.logged("the hub cannot be reached")

	f.stop()
	f.runtime.forget(order.Name)
	f.start()
	f.healed(order.Name)
	f.update(order, func() { order.Spec.SupersededBy = 2 })
	f.line.mend()
	f.logged("the hub answers again")
	f.awaitCondition(order, v1alpha1.ConditionFrozen, metav1.ConditionTrue, v1alpha1.ReasonFrozen)
}

func TestHeartbeat(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.start()
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.AgentLease, Namespace: f.namespace()}}
	f.eventually("the Lease is there", func() error {
		if err := f.api.Get(t.Context(), client.ObjectKeyFromObject(lease), lease); err != nil {
			return err
		}
		if age := time.Since(lease.Spec.RenewTime.Time); age > time.Minute {
			return fmt.Errorf("it was renewed %s ago", age)
		}
		return nil
	})
}

// TestRevoked: an agent whose certificate counts no more says so once and keeps its guests, and goes on
// as soon as it has joined again.
func TestRevoked(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.start()
	order := f.order()
	f.awaitReady(order)
	f.stop()
	for _, object := range []client.Object{
		&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace(), Name: "agent"}},
		&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "myriad:" + f.namespace()}},
	} {
		if err := f.api.Delete(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	f.start()
	f.logged("run 'myriad up' to have it join again")
	f.runtime.forget(order.Name)
	f.healed(order.Name)
	if count := strings.Count(f.log.String(), "run 'myriad up'"); count != 1 {
		t.Errorf("it was said %d times", count)
	}
	f.update(f.cell, func() { f.cell.Spec.CredentialGeneration = 2 })
	f.grant(v1alpha1.AgentUser(f.name, 2))
	f.join(30 * time.Minute)
	f.logged("the hub answers again")
}

// TestRenewal: both the agent's own certificate and its guests' leaves, which live for minutes, are
// renewed as time goes by.
func TestRenewal(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	clock := clocktesting.NewFakeClock(time.Now())
	f.clock, f.leaves = clock, 12*time.Minute
	f.start()
	order := f.order()
	f.pass(clock, "the guest is ready", func() error {
		if err := f.api.Get(t.Context(), client.ObjectKeyFromObject(order), order); err != nil || len(order.Status.Conditions) == 0 {
			return errors.Join(err, errors.New("no conditions"))
		}
		return nil
	})
	first, leaf := f.certificate(), f.serving(order.Name)

	f.pass(clock, "the agent asks", func() error {
		if err := f.api.Get(t.Context(), client.ObjectKeyFromObject(f.cell), f.cell); err != nil || f.cell.Status.CertificateRequest == "" {
			return errors.Join(err, errors.New("no request"))
		}
		return nil
	})
	signed := f.answer(f.cell.Status.CertificateRequest)
	f.pass(clock, "the answer is installed", func() error {
		if f.certificate() != signed {
			return errors.New("the certificate is the one before")
		}
		return nil
	})
	f.pass(clock, "the request is withdrawn", func() error {
		if err := f.api.Get(t.Context(), client.ObjectKeyFromObject(f.cell), f.cell); err != nil || f.cell.Status.CertificateRequest != "" {
			return errors.Join(err, errors.New("it is still there"))
		}
		return nil
	})
	f.pass(clock, "the guest's leaves are renewed", func() error {
		if f.serving(order.Name) == leaf {
			return errors.New("they are the ones before")
		}
		return nil
	})
	if first == signed {
		t.Error("the certificate did not change")
	}
}

// pass lets the agent's time go by, five seconds at a look, until something has happened.
func (f *fixture) pass(clock *clocktesting.FakeClock, what string, check func() error) {
	f.t.Helper()
	f.eventually(what, func() error {
		clock.Step(5 * time.Second)
		return check()
	})
}

func (f *fixture) certificate() string {
	f.t.Helper()
	content, err := os.ReadFile(filepath.Join(f.dir, "hub", "client.crt"))
	if err != nil {
		f.t.Fatal(err)
	}
	return string(content)
}

// serving is the certificate of the guest's first API server that the runtime was given last.
func (f *fixture) serving(id string) string {
	f.t.Helper()
	manifest, _ := f.runtime.manifest(id)
	for _, component := range manifest.Components {
		for _, file := range component.Files {
			if component.Name == "kube-apiserver-a" && file.Path == "serving.crt" {
				return string(file.Content)
			}
		}
	}
	f.t.Fatalf("guest %s has no serving certificate", id)
	return ""
}

// answer a request for the agent's certificate, as the hub does.
func (f *fixture) answer(request string) string {
	f.t.Helper()
	parsed, err := pki.ParseRequest([]byte(request))
	if err != nil {
		f.t.Fatal(err)
	}
	user := v1alpha1.AgentUser(f.name, 1)
	if parsed.Subject.CommonName != user {
		f.t.Errorf("the agent asks for %q", parsed.Subject.CommonName)
	}
	certificate, err := server.authority.Sign(pki.Leaf{CommonName: user, Client: true, Lifetime: 10 * time.Hour}, parsed.PublicKey, time.Now())
	if err != nil {
		f.t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(request))
	f.create(&corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.AgentCredentialConfigMap, Namespace: f.namespace()},
		Data:       map[string]string{"request": hex.EncodeToString(sum[:]), "certificate": string(certificate)},
	})
	return string(certificate)
}

// TestTwoAgents: the second agent over one directory ends at once and says why.
func TestTwoAgents(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.start()
	order := f.order()
	f.awaitReady(order)
	if err := agent.Run(t.Context(), f.options()); err == nil || !strings.Contains(err.Error(), "another agent") {
		t.Errorf("got %v", err)
	}
}
