package gearbox

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/gear"
)

// specKey of the ConfigMap AcceptedGearboxConfigMap.
const specKey = "spec"

// Box is the Gearbox that guests are sized by.
type Box struct {
	spec   v1alpha1.GearboxSpec
	frozen bool
}

// Spec in force; nil of a nil Box.
func (b *Box) Spec() *v1alpha1.GearboxSpec {
	if b == nil {
		return nil
	}
	return &b.spec
}

// Frozen tells whether an operator stopped all shifts. That counts although the rest of what the
// operator wrote may not be accepted.
func (b *Box) Frozen() bool { return b != nil && b.frozen }

// InForce reads the Gearbox that guests are sized by: what its operator wrote last if it can be accepted,
// and otherwise what was accepted before. It is nil while there is no Gearbox, or none was ever accepted.
// live reads past the cache, and is asked only while the Gearbox cannot be accepted.
func InForce(ctx context.Context, cached, live client.Reader) (*Box, error) {
	var gearbox v1alpha1.Gearbox
	if err := cached.Get(ctx, client.ObjectKey{Name: v1alpha1.DefaultGearbox}, &gearbox); apierrors.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("read Gearbox %s: %w", v1alpha1.DefaultGearbox, err)
	}
	if len(gear.Check(gearbox.Spec)) == 0 {
		return &Box{spec: gearbox.Spec, frozen: gearbox.Spec.Frozen}, nil
	}
	accepted, err := readAccepted(ctx, live)
	if accepted == nil || err != nil {
		return nil, err
	}
	return &Box{spec: *accepted, frozen: gearbox.Spec.Frozen}, nil
}

// readAccepted is the spec that was accepted last, or nil.
func readAccepted(ctx context.Context, live client.Reader) (*v1alpha1.GearboxSpec, error) {
	var kept corev1.ConfigMap
	key := client.ObjectKey{Namespace: v1alpha1.HubNamespace, Name: v1alpha1.AcceptedGearboxConfigMap}
	if err := live.Get(ctx, key, &kept); apierrors.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("read the accepted Gearbox in ConfigMap %s: %w", key, err)
	}
	var spec v1alpha1.GearboxSpec
	if err := json.Unmarshal([]byte(kept.Data[specKey]), &spec); err != nil {
		return nil, fmt.Errorf("decode the accepted Gearbox in ConfigMap %s: %w; delete the ConfigMap and mend the Gearbox", key, err)
	}
	if problems := gear.Check(spec); len(problems) > 0 {
		// An older hub accepted what this one cannot work with.
		return nil, nil
	}
	return &spec, nil
}
