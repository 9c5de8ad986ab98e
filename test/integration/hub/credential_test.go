package hub_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/agent/credentials"
	"github.com/myriad-fleet/myriad/internal/pki"
)

func (f *fleet) askFor(namespace, name, cluster string) *v1alpha1.ClusterCredential {
	f.t.Helper()
	request, _, err := pki.NewRequest("whatever")
	if err != nil {
		f.t.Fatal(err)
	}
	credential := &v1alpha1.ClusterCredential{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.ClusterCredentialSpec{Cluster: cluster, Role: v1alpha1.CredentialAdmin, User: "alice", Request: string(request), ExpirationSeconds: 600},
	}
	f.create(credential)
	return credential
}

// mirror waits for the request that the cell's agent gets to see.
func (f *fleet) mirror(order *v1alpha1.ControlPlane) *v1alpha1.ClusterCredential {
	f.t.Helper()
	var list v1alpha1.ClusterCredentialList
	f.eventually("wait for the mirrored request", func(ctx context.Context) error {
		err := f.api.List(ctx, &list, client.InNamespace(order.Namespace), client.MatchingLabels{v1alpha1.LabelID: order.Name})
		if err == nil && len(list.Items) != 1 {
			err = fmt.Errorf("there are %d", len(list.Items))
		}
		return err
	})
	return &list.Items[0]
}

// guest is a Cluster whose agent has made an identity for it.
func (f *fleet) guest(namespace, name string) (*v1alpha1.ControlPlane, pki.Identity) {
	f.t.Helper()
	order := f.order(f.cluster(namespace, name))
	identity, err := pki.NewIdentity(order.Name, time.Now())
	if err != nil {
		f.t.Fatal(err)
	}
	f.report(order, func(c *v1alpha1.ControlPlane) { c.Status.CABundle = string(identity["cluster-ca.crt"]) })
	return order, identity
}

func TestCredentialGoesThereAndBack(t *testing.T) {
	f := newFleet(t)
	f.cell("c1")
	namespace := f.namespace("team")
	order, identity := f.guest(namespace, "prod")
	credential := f.askFor(namespace, "alice", "prod")
	f.awaitCondition(credential, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonPending)
	mirror := f.mirror(order)
	want := credential.Spec
	want.Cluster = order.Name
	if diff := cmp.Diff(want, mirror.Spec); diff != "" {
		t.Errorf("mirrored request (-want +got):\n%s", diff)
	}

	f.report(mirror, func(c *v1alpha1.ClusterCredential) { c.Status = credentials.Decide(c.Spec, identity, time.Now()) })
	f.awaitCondition(credential, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSigned)
	if credential.Status.Certificate != mirror.Status.Certificate || credential.Status.CABundle != string(identity["cluster-ca.crt"]) {
		t.Error("the answer is not the cell's")
	}
	if diff := cmp.Diff(&order.Spec.Endpoint, credential.Status.Endpoint); diff != "" {
		t.Errorf("endpoint (-want +got):\n%s", diff)
	}

	f.delete(credential)
	f.awaitGone(mirror)
}

func TestAnswerThatIsNotTheGuestsIsRefused(t *testing.T) {
	f := newFleet(t)
	f.cell("c1")
	namespace := f.namespace("team")
	order, _ := f.guest(namespace, "prod")
	credential := f.askFor(namespace, "alice", "prod")
	mirror := f.mirror(order)
	stranger, err := pki.NewIdentity("stranger", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	f.report(mirror, func(c *v1alpha1.ClusterCredential) { c.Status = credentials.Decide(c.Spec, stranger, time.Now()) })
	f.awaitCondition(credential, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonRefused, "not signed by the guest's CA")
	if credential.Status.Certificate != "" {
		t.Error("the certificate reached the tenant")
	}
}

func TestCredentialsReachOnesOwnClustersOnly(t *testing.T) {
	f := newFleet(t)
	f.cell("c1")
	f.order(f.cluster(f.namespace("victim"), "prod"))
	namespace := f.namespace("thief")
	credential := f.askFor(namespace, "mine", "prod")
	f.awaitCondition(credential, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonClusterNotFound, "namespace "+namespace)
	// Once there is a Cluster of that name, the request goes on.
	order := f.order(f.cluster(namespace, "prod"))
	f.mirror(order)
}

func TestExpiredCredentialsGo(t *testing.T) {
	f := newFleet(t)
	f.cell("c1")
	namespace := f.namespace("team")
	order, identity := f.guest(namespace, "prod")
	credential := f.askFor(namespace, "alice", "prod")
	mirror := f.mirror(order)
	f.report(mirror, func(c *v1alpha1.ClusterCredential) { c.Status = credentials.Decide(c.Spec, identity, time.Now()) })
	f.awaitCondition(credential, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSigned)
	past := metav1.NewTime(time.Now().Add(-time.Second))
	f.report(credential, func(c *v1alpha1.ClusterCredential) { c.Status.Expires = &past })
	f.awaitGone(credential)
	f.awaitGone(mirror)
}

func TestBadRequestsAreRefused(t *testing.T) {
	f := newFleet(t)
	namespace := f.namespace("team")
	const head = "-----BEGIN CERTIFICATE REQUEST-----\n"
	garbage := &v1alpha1.ClusterCredential{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "garbage"},
		Spec:       v1alpha1.ClusterCredentialSpec{Cluster: "prod", User: "alice", Request: head},
	}
	f.create(garbage)
	f.awaitCondition(garbage, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonRefused, "spec.request")
	cases := map[string]struct {
		change func(*v1alpha1.ClusterCredentialSpec)
		parts  []string
	}{
		"system user": {change: func(s *v1alpha1.ClusterCredentialSpec) { s.User = "system:admin" }, parts: []string{"must not start with 'system:'"}},
		"fleet user":  {change: func(s *v1alpha1.ClusterCredentialSpec) { s.User = "myriad:agent" }, parts: []string{"must not start with 'myriad:'"}},
		"role":        {change: func(s *v1alpha1.ClusterCredentialSpec) { s.Role = "Root" }, parts: []string{`"Admin", "Viewer"`}},
		"too long":    {change: func(s *v1alpha1.ClusterCredentialSpec) { s.ExpirationSeconds = 604801 }, parts: []string{"604800"}},
		"no request":  {change: func(s *v1alpha1.ClusterCredentialSpec) { s.Request = "x" }, parts: []string{"openssl req -new"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			credential := &v1alpha1.ClusterCredential{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "bad"},
				Spec:       v1alpha1.ClusterCredentialSpec{Cluster: "prod", User: "alice", Request: head},
			}
			tc.change(&credential.Spec)
			wantRefused(t, f.api.Create(t.Context(), credential), tc.parts...)
		})
	}
	err := f.api.Patch(t.Context(), garbage, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"user":"bob"}}`)))
	wantRefused(t, err, "immutable: create a new one")
}

func TestTenantsCannotReachTheMirrors(t *testing.T) {
	f := newFleet(t)
	cell := f.cell("c1")
	namespace := f.namespace("team")
	f.allowTenant(namespace, "alice")
	tenant := connect(t, as("alice"))
	f.eventually("wait for the tenant's rights", func(ctx context.Context) error {
		return tenant.List(ctx, &v1alpha1.ClusterCredentialList{}, client.InNamespace(namespace))
	})
	err := tenant.List(t.Context(), &v1alpha1.ClusterCredentialList{}, client.InNamespace(v1alpha1.CellNamespace(cell.Name)))
	if !apierrors.IsForbidden(err) {
		t.Errorf("got %v, want Forbidden", errors.Unwrap(err))
	}
}
