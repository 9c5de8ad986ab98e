// Package certificate renews the client certificates of agents: the request comes in Cell.status,
// the answer goes into a ConfigMap of the cell's namespace.
package certificate

import (
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/write"
	"github.com/myriad-fleet/myriad/internal/pki"
)

// Authority signs the certificates.
type Authority interface {
	Sign(leaf pki.Leaf, public crypto.PublicKey, now time.Time) ([]byte, error)
}

// The keys of the answer.
const (
	requestKey     = "request"
	certificateKey = "certificate"
)

// Add adds the controller to the manager. Certificates live that long.
func Add(manager ctrl.Manager, clock clock.PassiveClock, authority Authority, lifetime time.Duration) error {
	r := &reconciler{client: manager.GetClient(), live: manager.GetAPIReader(), clock: clock, authority: authority, lifetime: lifetime}
	err := ctrl.NewControllerManagedBy(manager).
		Named("certificate").
		For(&v1alpha1.Cell{}, builder.WithPredicates(requestChanged())).
		Complete(r)
	if err != nil {
		return fmt.Errorf("add controller certificate: %w", err)
	}
	return nil
}

func requestChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, okBefore := e.ObjectOld.(*v1alpha1.Cell)
		after, okAfter := e.ObjectNew.(*v1alpha1.Cell)
		return okBefore && okAfter && before.Status.CertificateRequest != after.Status.CertificateRequest
	}}
}

// reconciler answers the request of one cell:
//
//  1. read the request, and whether it was answered before;
//  2. check that it asks for the name of the cell's agent in the generation in force;
//  3. sign it, or refuse it for good, and write the answer.
type reconciler struct {
	client    client.Client
	live      client.Reader
	clock     clock.PassiveClock
	authority Authority
	lifetime  time.Duration
}

// Reconcile answers the request of the cell that the request names.
func (r *reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	var cell v1alpha1.Cell
	if err := r.client.Get(ctx, request.NamespacedName, &cell); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if cell.Status.CertificateRequest == "" {
		return reconcile.Result{}, nil
	}
	sum := sha256.Sum256([]byte(cell.Status.CertificateRequest))
	digest := hex.EncodeToString(sum[:])
	answered, err := r.answered(ctx, cell.Name, digest)
	if err != nil || answered {
		return reconcile.Result{}, err
	}
	public, err := check(&cell)
	if err != nil {
		// Only another request can mend this: the agent reads its log, the operator this one. The refusal
		// is for good: a thief could ask for the generation that comes after his own is revoked.
		ctrl.LoggerFrom(ctx).Info("refused to sign an agent's certificate", "cell", cell.Name, "reason", err.Error())
		return reconcile.Result{}, r.answer(ctx, cell.Name, digest, "")
	}
	leaf := pki.Leaf{CommonName: v1alpha1.AgentUser(cell.Name, cell.Spec.CredentialGeneration), Client: true, Lifetime: r.lifetime}
	certificate, err := r.authority.Sign(leaf, public, r.clock.Now())
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("sign the certificate of cell %s's agent: %w", cell.Name, err)
	}
	return reconcile.Result{}, r.answer(ctx, cell.Name, digest, string(certificate))
}

// answer a request, with an empty certificate when it is refused.
func (r *reconciler) answer(ctx context.Context, cell, digest, certificate string) error {
	answer := applycorev1.ConfigMap(v1alpha1.AgentCredentialConfigMap, v1alpha1.CellNamespace(cell)).
		WithData(map[string]string{requestKey: digest, certificateKey: certificate})
	return write.Apply(ctx, r.client, answer)
}

func (r *reconciler) answered(ctx context.Context, cell, digest string) (bool, error) {
	var answer corev1.ConfigMap
	key := client.ObjectKey{Namespace: v1alpha1.CellNamespace(cell), Name: v1alpha1.AgentCredentialConfigMap}
	if err := r.live.Get(ctx, key, &answer); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	return answer.Data[requestKey] == digest, nil
}

// check a cell's request: it must ask for exactly the agent's name, in the generation in force.
func check(cell *v1alpha1.Cell) (crypto.PublicKey, error) {
	request, err := pki.ParseRequest([]byte(cell.Status.CertificateRequest))
	if err != nil {
		return nil, fmt.Errorf("status.certificateRequest of cell %s: %w", cell.Name, err)
	}
	want := v1alpha1.AgentUser(cell.Name, cell.Spec.CredentialGeneration)
	if request.Subject.CommonName != want {
		return nil, fmt.Errorf("status.certificateRequest of cell %s asks for the name %q; the agent's is %q", cell.Name, request.Subject.CommonName, want)
	}
	return request.PublicKey, nil
}
