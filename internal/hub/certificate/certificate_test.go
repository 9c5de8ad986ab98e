package certificate

import (
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/pki"
)

var now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// answer reconciles a cell of generation 2 with that request, and returns the ConfigMap's data.
func answer(t *testing.T, request string, times int) map[string]string {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, corev1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	cell := &v1alpha1.Cell{ObjectMeta: metav1.ObjectMeta{Name: "hz-1"}, Spec: v1alpha1.CellSpec{CredentialGeneration: 2}, Status: v1alpha1.CellStatus{CertificateRequest: request}}
	api := fake.NewClientBuilder().WithScheme(scheme).WithObjects(cell).Build()
	authority, err := pki.NewAuthority("test", now, 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	r := &reconciler{client: api, live: api, clock: testingclock.NewFakePassiveClock(now), authority: authority, lifetime: time.Hour}
	var data map[string]string
	for range times {
		if _, err := r.Reconcile(t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Name: "hz-1"}}); err != nil {
			t.Fatal(err)
		}
		var found corev1.ConfigMap
		err := api.Get(t.Context(), client.ObjectKey{Namespace: "cell-hz-1", Name: v1alpha1.AgentCredentialConfigMap}, &found)
		if client.IgnoreNotFound(err) != nil {
			t.Fatal(err)
		}
		if data != nil && data[certificateKey] != found.Data[certificateKey] {
			t.Error("the same request was signed twice")
		}
		data = found.Data
	}
	return data
}

func requestFor(t *testing.T, name string) string {
	t.Helper()
	request, _, err := pki.NewRequest(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(request)
}

func TestSignsTheAgentsName(t *testing.T) {
	data := answer(t, requestFor(t, v1alpha1.AgentUser("hz-1", 2)), 2)
	certificate, err := pki.ParseCertificate([]byte(data[certificateKey]))
	if err != nil {
		t.Fatal(err)
	}
	if certificate.Subject.CommonName != "cell:hz-1:2" || len(certificate.Subject.Organization) > 0 {
		t.Errorf("signed for %v", certificate.Subject)
	}
	if !certificate.NotAfter.Equal(now.Add(time.Hour)) {
		t.Errorf("lives until %s", certificate.NotAfter)
	}
}

func TestSignsNothingElse(t *testing.T) {
	cases := map[string]struct{ reason, request string }{
		"None":       {reason: "nothing was asked for"},
		"Garbage":    {reason: "not a request", request: "x"},
		"Revoked":    {reason: "generation 1 was revoked", request: requestFor(t, v1alpha1.AgentUser("hz-1", 1))},
		"Later":      {reason: "generation 3 is not in force yet", request: requestFor(t, v1alpha1.AgentUser("hz-1", 3))},
		"OtherCell":  {reason: "another cell's name", request: requestFor(t, v1alpha1.AgentUser("hz-2", 2))},
		"Hub":        {reason: "the hub's name", request: requestFor(t, "myriad:hub")},
		"Kubernetes": {reason: "a name of Kubernetes", request: requestFor(t, "system:admin")},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if data := answer(t, tc.request, 1); data[certificateKey] != "" {
				t.Errorf("%s, and yet it was signed: %v", tc.reason, data)
			}
		})
	}
}

// TestRefusesForGood: a thief asks for the generation after his own, and waits for his to be revoked.
func TestRefusesForGood(t *testing.T) {
	request := requestFor(t, v1alpha1.AgentUser("hz-1", 3))
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	cell := &v1alpha1.Cell{ObjectMeta: metav1.ObjectMeta{Name: "hz-1"}, Spec: v1alpha1.CellSpec{CredentialGeneration: 2}, Status: v1alpha1.CellStatus{CertificateRequest: request}}
	api := fake.NewClientBuilder().WithScheme(scheme).WithObjects(cell).Build()
	authority, err := pki.NewAuthority("test", now, 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	r := &reconciler{client: api, live: api, clock: testingclock.NewFakePassiveClock(now), authority: authority, lifetime: time.Hour}
	for generation := range int64(2) {
		cell.Spec.CredentialGeneration = 2 + generation
		if err := api.Update(t.Context(), cell); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Reconcile(t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Name: "hz-1"}}); err != nil {
			t.Fatal(err)
		}
	}
	var found corev1.ConfigMap
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: "cell-hz-1", Name: v1alpha1.AgentCredentialConfigMap}, &found); err != nil {
		t.Fatal(err)
	}
	if found.Data[certificateKey] != "" {
		t.Error("a request that was refused was signed once its generation was in force")
	}
}
