package guest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/agent/identity"
	"github.com/myriad-fleet/myriad/internal/agent/orders"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/pki"
)

// accept takes the hub's order to disk, and with it its tombstone. An order of an earlier epoch than
// the one on disk is that of a hub that was restored from a backup: nothing of it counts.
func (r *Reconciler) accept(_ context.Context, s *scope) outcome {
	kept := r.Orders.Get(s.id)
	s.hub, s.synced = r.Hub.ControlPlane(s.id)
	s.facts.Order = kept.Spec
	if s.hub == nil {
		if kept == (orders.Order{}) {
			r.forget(s.id)
			return outcome{stop: true}
		}
		return outcome{}
	}
	if kept.Entombed {
		return outcome{} // bury removes what is left; an order taken now would come back to life for a moment
	}
	if kept.Spec != nil && s.hub.Spec.Epoch < kept.Spec.Epoch {
		s.facts.Notice = &Problem{Reason: v1alpha1.ReasonStaleOrder, Message: fmt.Sprintf(
			"the hub's order has epoch %d, the cell's own has %d and stays in force; raise spec.epoch to replace it",
			s.hub.Spec.Epoch, kept.Spec.Epoch)}
		return outcome{}
	}
	if tombstone := s.hub.Spec.Tombstone; tombstone != nil && tombstone.ID == s.id {
		if err := r.Orders.Entomb(s.id); err != nil {
			return storageFailed(err)
		}
		return outcome{}
	}
	order := merge(kept.Spec, &s.hub.Spec)
	if equality.Semantic.DeepEqual(kept.Spec, order) {
		return outcome{}
	}
	if err := r.Orders.Put(order); err != nil {
		return r.keepOn(s, err)
	}
	s.facts.Order = r.Orders.Get(s.id).Spec
	return outcome{}
}

// keepOn goes on with the order on disk, if there is one, when the hub's cannot be kept.
func (r *Reconciler) keepOn(s *scope, err error) outcome {
	if s.facts.Order == nil {
		return storageFailed(err)
	}
	s.facts.Notice = &Problem{Reason: v1alpha1.ReasonStorageFailed, Message: err.Error()}
	return outcome{err: err}
}

// merge is the order to keep: the hub's, but a copy that was once superseded stays so for as long as
// its epoch is not raised above. A hub restored from a backup must not thaw it.
func merge(kept, hub *v1alpha1.ControlPlaneSpec) *v1alpha1.ControlPlaneSpec {
	order := hub.DeepCopy()
	order.Tombstone = nil
	if kept != nil {
		order.SupersededBy = max(order.SupersededBy, kept.SupersededBy)
	}
	return order
}

// observe asks the runtime how the guest is.
func (r *Reconciler) observe(ctx context.Context, s *scope) outcome {
	s.facts.Instances = controlplane.Instances(s.facts.Order, controlplane.Guest)
	observation, err := r.Runtime.Observe(ctx, s.id)
	if err != nil {
		return failed(v1alpha1.ReasonApplyFailed, fmt.Errorf("ask the cell's runtime how the guest is: %w", err))
	}
	s.facts.Observation = observation
	return outcome{}
}

// identify loads the identity. It is made only for a guest that the runtime has never heard of.
func (r *Reconciler) identify(_ context.Context, s *scope) outcome {
	loaded, err := r.Identities.Load(s.id)
	if errors.Is(err, fs.ErrNotExist) {
		if s.facts.Observation.Exists {
			return failed(v1alpha1.ReasonIdentityBroken, fmt.Errorf(
				"the guest exists and its identity is missing: restore it from a backup or the guest's escrow: %w", err))
		}
		if s.hub != nil && s.hub.Status.Escrow != "" {
			return failed(v1alpha1.ReasonIdentityBroken, fmt.Errorf(
				"the guest had an identity, which this cell has lost: another one would replace the escrow of the first; restore it from the escrow: %w", err))
		}
		loaded, err = r.Identities.Create(s.id)
	}
	var broken *identity.BrokenError
	switch {
	case errors.As(err, &broken):
		return failed(v1alpha1.ReasonIdentityBroken, err)
	case err != nil:
		return storageFailed(err)
	}
	s.identity = loaded
	return outcome{}
}

// reserve gets the addresses of the components: the same ones at every call.
func (r *Reconciler) reserve(ctx context.Context, s *scope) outcome {
	wanted := names(s.facts.Instances)
	for _, name := range wanted {
		if _, known := s.record.hosts[name]; !known {
			hosts, err := r.Runtime.Reserve(ctx, s.id, wanted)
			if err != nil {
				return failed(v1alpha1.ReasonApplyFailed, fmt.Errorf("reserve addresses: %w", err))
			}
			r.keepHosts(s.record, hosts)
			return outcome{}
		}
	}
	return outcome{}
}

// render turns the order into a manifest. From the bootstrap on no member of etcd starts over when it
// finds its data gone: until then there was nobody whose data it could have been.
func (r *Reconciler) render(_ context.Context, s *scope) outcome {
	if r.Bootstrap.Done(s.id) {
		s.starts = r.Etcd.Starts(s.facts.Order)
	}
	if known := s.record.standing; known.holds(s, r.Clock.Now()) {
		s.stands, s.issued.RenewAt = true, known.renewAt
		return outcome{}
	}
	manifest, err := controlplane.Render(controlplane.Input{
		Order: *s.facts.Order, Profile: controlplane.Guest, Hosts: s.record.hosts, AnyAddress: r.AnyAddress,
		EtcdStarts: s.starts, Frozen: frozen(s.facts.Order),
	})
	if err != nil {
		return failed(v1alpha1.ReasonInvalidOrder, fmt.Errorf("render the order: %w", err))
	}
	s.manifest = manifest
	return outcome{}
}

// certify issues the certificates that the manifest asks for and fills in all of its secrets.
func (r *Reconciler) certify(_ context.Context, s *scope) outcome {
	if s.stands {
		return outcome{}
	}
	issued, err := r.Certificates.Issue(s.manifest, s.identity)
	if err != nil {
		return storageFailed(err)
	}
	s.issued = issued
	resolved, err := s.manifest.Resolve(s.material)
	if err != nil {
		return failed(v1alpha1.ReasonInvalidOrder, fmt.Errorf("fill in the manifest: %w", err))
	}
	s.manifest = resolved
	return outcome{}
}

// apply hands the manifest to the runtime when it differs from the last one or the runtime lost it, and asks how
// the guest is by that: what was observed before says nothing of it.
func (r *Reconciler) apply(ctx context.Context, s *scope) outcome {
	if s.stands {
		return outcome{}
	}
	s.record.standing = nil
	hash, err := hashOf(s.manifest)
	if err != nil {
		return failed(v1alpha1.ReasonApplyFailed, err)
	}
	given := make([]string, 0, len(s.manifest.Components))
	for _, component := range s.manifest.Components {
		given = append(given, component.Name)
	}
	now := &standing{
		order: s.facts.Order, starts: s.starts, identity: s.identity, given: given, renewAt: s.issued.RenewAt, until: r.Clock.Now().Add(lookAgain),
	}
	if s.record.applied == hash && !lost(s.facts.Observation, given) {
		s.record.standing = now
		return outcome{}
	}
	if err := r.Runtime.Apply(ctx, s.manifest); err != nil {
		s.record.applied = ""
		return failed(v1alpha1.ReasonApplyFailed, fmt.Errorf("hand the manifest to the cell's runtime: %w", err))
	}
	s.record.applied, s.record.starts, s.record.standing = hash, s.starts, now
	return r.observe(ctx, s)
}

// material is what File.From names: a certificate, or a file of the identity.
func (s *scope) material(component, from string) ([]byte, error) {
	if content, ok := s.issued.Material(component, from); ok {
		return content, nil
	}
	if from == controlplane.EncryptionConfigFile {
		return controlplane.EncryptionConfig(s.identity[pki.EncryptionKey]), nil
	}
	if content, ok := s.identity[from]; ok {
		return content, nil
	}
	return nil, fmt.Errorf("guest %s: %s asks for %q, which is neither a file of the identity nor one of its certificates",
		s.id, component, from)
}

func hashOf(manifest controlplane.Manifest) (string, error) {
	data, err := json.Marshal(manifest)
	if err != nil {
		return "", fmt.Errorf("encode the manifest: %w", err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

func frozen(order *v1alpha1.ControlPlaneSpec) bool { return order.SupersededBy > order.Epoch }

func failed(reason string, err error) outcome {
	return outcome{problem: &Problem{Reason: reason, Message: err.Error()}, err: err}
}

func storageFailed(err error) outcome { return failed(v1alpha1.ReasonStorageFailed, err) }
