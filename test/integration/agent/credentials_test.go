package agent_test

import (
	"crypto/x509"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/pki"
)

// ask writes a request for a certificate as the hub mirrors it, and waits for the answer.
func (f *fixture) ask(spec v1alpha1.ClusterCredentialSpec) *v1alpha1.ClusterCredential {
	f.t.Helper()
	credential := &v1alpha1.ClusterCredential{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: f.namespace(), Name: fmt.Sprintf("request-%d", sequence.Add(1)), Labels: map[string]string{v1alpha1.LabelID: spec.Cluster},
		},
		Spec: spec,
	}
	f.create(credential)
	f.eventually("the request is answered", func() error {
		if err := f.api.Get(f.t.Context(), client.ObjectKeyFromObject(credential), credential); err != nil {
			return err
		}
		if meta.FindStatusCondition(credential.Status.Conditions, v1alpha1.ConditionReady) == nil {
			return fmt.Errorf("status is %+v", credential.Status)
		}
		return nil
	})
	return credential
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.start()
	order := f.order()
	f.awaitReady(order)
	request, _, err := pki.NewRequest("system:masters")
	if err != nil {
		t.Fatal(err)
	}
	spec := v1alpha1.ClusterCredentialSpec{
		Cluster: order.Name, Role: v1alpha1.CredentialViewer, User: "alice", Request: string(request), ExpirationSeconds: 600,
	}
	signed := f.ask(spec)
	certificate, err := pki.ParseCertificate([]byte(signed.Status.Certificate))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(order.Status.CABundle))
	if _, err := certificate.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Errorf("the guest would not believe it: %v", err)
	}
	if got := certificate.Subject.String(); got != "CN=alice,O=myriad:viewers" {
		t.Errorf("subject %s", got)
	}
	if left := time.Until(certificate.NotAfter); left > 11*time.Minute || left < 8*time.Minute {
		t.Errorf("expires in %s", left)
	}

	spec.Request = strings.Replace(spec.Request, "\nMI", "\nMJ", 1)
	refused := f.ask(spec)
	condition := meta.FindStatusCondition(refused.Status.Conditions, v1alpha1.ConditionReady)
	if refused.Status.Certificate != "" || condition.Reason != v1alpha1.ReasonRefused {
		t.Errorf("a broken request: %+v", refused.Status)
	}
}

// TestCredentialFirst: a request that comes before its guest is signed once the guest is there.
func TestCredentialFirst(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	request, _, err := pki.NewRequest("alice")
	if err != nil {
		t.Fatal(err)
	}
	order := f.order()
	f.create(&v1alpha1.ClusterCredential{
		ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace(), Name: "early"},
		Spec: v1alpha1.ClusterCredentialSpec{
			Cluster: order.Name, Role: v1alpha1.CredentialAdmin, User: "alice", Request: string(request), ExpirationSeconds: 600,
		},
	})
	f.start()
	early := &v1alpha1.ClusterCredential{}
	f.eventually("the request is signed", func() error {
		if err := f.api.Get(t.Context(), client.ObjectKey{Namespace: f.namespace(), Name: "early"}, early); err != nil {
			return err
		}
		if early.Status.Certificate == "" {
			return fmt.Errorf("status is %+v", early.Status)
		}
		return nil
	})
}
