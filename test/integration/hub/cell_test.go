package hub_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/pki"
)

func TestNeverJoined(t *testing.T) {
	f := newFleet(t)
	cell := &v1alpha1.Cell{ObjectMeta: metav1.ObjectMeta{Name: f.name + "-new"}, Spec: v1alpha1.CellSpec{Region: f.name, Zones: []string{"a"}}}
	f.create(cell)
	f.awaitCondition(cell, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonNeverJoined)
}

func TestReadyIsTheHubsWord(t *testing.T) {
	f := newFleet(t)
	cell := f.cell("c1")
	f.renew(cell, time.Now(), 1)
	f.awaitCondition(cell, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonLeaseExpired)
	f.report(cell, func(c *v1alpha1.Cell) {
		c.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Forged", LastTransitionTime: metav1.Now()}}
	})
	f.awaitCondition(cell, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonLeaseExpired)
}

func TestRegionListsItsCells(t *testing.T) {
	f := newFleet(t)
	first, second := f.cell("c1"), f.cell("c2")
	list := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.RegionNamespace(f.name), Name: v1alpha1.RegionCellsConfigMap}}
	want := func(names ...string) {
		t.Helper()
		f.eventually(fmt.Sprintf("wait until the region lists %v", names), func(ctx context.Context) error {
			if err := f.api.Get(ctx, client.ObjectKeyFromObject(list), list); err != nil {
				return err
			}
			for _, name := range names {
				if _, ok := list.Data[name]; !ok {
					return fmt.Errorf("%s is missing in %v", name, list.Data)
				}
			}
			if len(list.Data) != len(names) {
				return fmt.Errorf("lists %v", list.Data)
			}
			return nil
		})
	}
	want(first.Name, second.Name)
	f.delete(second)
	want(first.Name)
}

func TestEachCellHasAPriorityLevel(t *testing.T) {
	f := newFleet(t)
	cell := f.cell("c1")
	var schema flowcontrolv1.FlowSchema
	f.eventually("wait for the flow schema", func(ctx context.Context) error {
		return f.api.Get(ctx, client.ObjectKey{Name: "myriad-cell-" + cell.Name}, &schema)
	})
	var level flowcontrolv1.PriorityLevelConfiguration
	if err := f.api.Get(t.Context(), client.ObjectKey{Name: schema.Spec.PriorityLevelConfiguration.Name}, &level); err != nil {
		t.Fatal(err)
	}
	if user := schema.Spec.Rules[0].Subjects[0].User; user == nil || user.Name != v1alpha1.AgentUser(cell.Name, 1) {
		t.Errorf("the flow schema is for %v", schema.Spec.Rules[0].Subjects)
	}
	if *level.Spec.Limited.NominalConcurrencyShares != 5 {
		t.Errorf("the cell has %d shares, want 5", *level.Spec.Limited.NominalConcurrencyShares)
	}
}

// TestPeopleHaveAPriorityLevel: whoever no other schema knows has as much as 40 cells together, user by user.
func TestPeopleHaveAPriorityLevel(t *testing.T) {
	f := newFleet(t)
	f.cell("c1")
	var schema flowcontrolv1.FlowSchema
	f.eventually("wait for the flow schema", func(ctx context.Context) error {
		return f.api.Get(ctx, client.ObjectKey{Name: "myriad-people"}, &schema)
	})
	var level flowcontrolv1.PriorityLevelConfiguration
	if err := f.api.Get(t.Context(), client.ObjectKey{Name: schema.Spec.PriorityLevelConfiguration.Name}, &level); err != nil {
		t.Fatal(err)
	}
	if group := schema.Spec.Rules[0].Subjects[0].Group; group == nil || group.Name != "system:authenticated" {
		t.Errorf("the flow schema is for %v", schema.Spec.Rules[0].Subjects)
	}
	if method := schema.Spec.DistinguisherMethod; method == nil || method.Type != flowcontrolv1.FlowDistinguisherMethodByUserType {
		t.Errorf("users are told apart by %v", method)
	}
	// Upstream's schemas that know somebody begin at most at 9000, global-default is at 9900.
	if at := schema.Spec.MatchingPrecedence; at <= 9000 || at >= 9900 {
		t.Errorf("the schema comes at %d", at)
	}
	if got := *level.Spec.Limited.NominalConcurrencyShares; got != 200 {
		t.Errorf("people have %d shares, want 200", got)
	}
}

// credential waits for the hub's answer to a request of the cell's agent, and connects with it.
func (f *fleet) credential(cell *v1alpha1.Cell, request, key []byte) *rest.Config {
	f.t.Helper()
	sum := sha256.Sum256(request)
	var answer corev1.ConfigMap
	f.eventually("wait for the agent's certificate", func(ctx context.Context) error {
		err := f.api.Get(ctx, client.ObjectKey{Namespace: v1alpha1.CellNamespace(cell.Name), Name: v1alpha1.AgentCredentialConfigMap}, &answer)
		if err == nil && answer.Data["request"] != hex.EncodeToString(sum[:]) {
			err = errors.New("answers another request")
		}
		return err
	})
	config := rest.CopyConfig(server.config)
	config.CertData, config.KeyData = []byte(answer.Data["certificate"]), key
	return config
}

func (f *fleet) request(cell *v1alpha1.Cell, name string) (request, key []byte) {
	f.t.Helper()
	request, key, err := pki.NewRequest(name)
	if err != nil {
		f.t.Fatal(err)
	}
	f.report(cell, func(c *v1alpha1.Cell) { c.Status.CertificateRequest = string(request) })
	return request, key
}

func TestAgentCertificateIsRenewedAndRevoked(t *testing.T) {
	f := newFleet(t)
	cell := f.cell("c1")
	request, key := f.request(cell, v1alpha1.AgentUser(cell.Name, 1))
	first := connect(t, f.credential(cell, request, key))
	orders := func(api client.Client) error {
		return api.List(t.Context(), &v1alpha1.ControlPlaneList{}, client.InNamespace(v1alpha1.CellNamespace(cell.Name)))
	}
	f.eventually("wait until the renewed certificate works", func(context.Context) error { return orders(first) })

	if err := f.api.Patch(t.Context(), cell, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"credentialGeneration":2}}`))); err != nil {
		t.Fatal(err)
	}
	f.eventually("wait until generation 1 is revoked", func(context.Context) error {
		if err := orders(first); !apierrors.IsForbidden(err) {
			return fmt.Errorf("got %w, want Forbidden", err)
		}
		return nil
	})
	second := connect(t, as(v1alpha1.AgentUser(cell.Name, 2)))
	f.eventually("wait until generation 2 may read", func(context.Context) error { return orders(second) })

	// A revoked name is not signed again, nor is another cell's; then a good request is.
	for _, name := range []string{v1alpha1.AgentUser(cell.Name, 1), v1alpha1.AgentUser("other", 2), "myriad:hub"} {
		f.request(cell, name)
	}
	request, key = f.request(cell, v1alpha1.AgentUser(cell.Name, 2))
	third := connect(t, f.credential(cell, request, key))
	f.eventually("wait until the renewed certificate of generation 2 works", func(context.Context) error { return orders(third) })
}
