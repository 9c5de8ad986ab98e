package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// The resources that an agent reads and whose status it writes.
const (
	controlPlanes = "controlplanes"
	credentials   = "clustercredentials"
	cells         = "cells"
)

// fieldOwner of the agent's server-side apply. The hub owns other fields of the same objects.
const fieldOwner = "myriad-agent"

// ReportControlPlane writes the status of a guest: what differs from its order as last seen. The agent alone writes
// it, and where it was written since, the event of that has it compared again. An apply would send the sealed identity
// each time, and have the API server compare all of it.
func (c *Connection) ReportControlPlane(ctx context.Context, seen *v1alpha1.ControlPlane, status v1alpha1.ControlPlaneStatus) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	change, err := difference(seen.Status, status)
	if err != nil {
		return fmt.Errorf("encode the status of ControlPlane %s: %w", seen.Name, err)
	}
	err = c.fleet.Patch(types.MergePatchType).Namespace(c.namespace).Resource(controlPlanes).Name(seen.Name).SubResource("status").
		Param("fieldManager", fieldOwner).Body(change).Do(ctx).Error()
	if err != nil {
		return fmt.Errorf("write the status of ControlPlane %s: %w", seen.Name, err)
	}
	return nil
}

// difference between two statuses, as a merge patch of the object.
func difference(before, after v1alpha1.ControlPlaneStatus) ([]byte, error) {
	old, err := json.Marshal(map[string]any{"status": before})
	if err != nil {
		return nil, err
	}
	now, err := json.Marshal(map[string]any{"status": after})
	if err != nil {
		return nil, err
	}
	return jsonpatch.CreateMergePatch(old, now)
}

// ApplyCredential writes the answer to a request for a certificate.
func (c *Connection) ApplyCredential(ctx context.Context, name string, status v1alpha1.ClusterCredentialStatus) error {
	return c.apply(ctx, "ClusterCredential", credentials, c.namespace, name, status)
}

// ApplyCell writes the status of the agent's own Cell. Of its conditions only RuntimeReady is the
// agent's: the others are left out.
func (c *Connection) ApplyCell(ctx context.Context, status v1alpha1.CellStatus) error {
	status.Conditions = slices.DeleteFunc(slices.Clone(status.Conditions), func(condition metav1.Condition) bool {
		return condition.Type != v1alpha1.ConditionRuntimeReady
	})
	return c.apply(ctx, "Cell", cells, "", c.cell, status)
}

func (c *Connection) apply(ctx context.Context, kind, resource, namespace, name string, status any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	body, err := json.Marshal(struct {
		metav1.TypeMeta `json:",inline"`
		Metadata        map[string]string `json:"metadata"`
		Status          any               `json:"status"`
	}{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: kind},
		Metadata: map[string]string{"name": name},
		Status:   status,
	})
	if err != nil {
		return fmt.Errorf("encode the status of %s %s: %w", kind, name, err)
	}
	err = c.fleet.Patch(types.ApplyPatchType).NamespaceIfScoped(namespace, namespace != "").
		Resource(resource).Name(name).SubResource("status").
		Param("fieldManager", fieldOwner).Param("force", "true").
		Body(body).Do(ctx).Error()
	if err != nil {
		return fmt.Errorf("write the status of %s %s: %w", kind, name, err)
	}
	return nil
}

// RenewLease says that the cell's agent lives.
func (c *Connection) RenewLease(ctx context.Context, holder string, now time.Time, lifetime time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	seconds, renewed := int32(lifetime.Seconds()), metav1.NewMicroTime(now)
	leases := c.coordination.Leases(c.namespace)
	lease, err := leases.Get(ctx, v1alpha1.AgentLease, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		lease = &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.AgentLease, Namespace: c.namespace}}
		lease.Spec = coordinationv1.LeaseSpec{
			HolderIdentity: &holder, LeaseDurationSeconds: &seconds, AcquireTime: &renewed, RenewTime: &renewed,
		}
		_, err = leases.Create(ctx, lease, metav1.CreateOptions{})
	case err == nil:
		if lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity != holder {
			lease.Spec.AcquireTime = &renewed
		}
		lease.Spec.HolderIdentity, lease.Spec.LeaseDurationSeconds, lease.Spec.RenewTime = &holder, &seconds, &renewed
		_, err = leases.Update(ctx, lease, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("renew Lease %s/%s: %w", c.namespace, v1alpha1.AgentLease, err)
	}
	return nil
}

// Answer returns the hub's last answer to a request for the agent's own certificate; nil for none.
func (c *Connection) Answer(ctx context.Context) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	answer, err := c.core.ConfigMaps(c.namespace).Get(ctx, v1alpha1.AgentCredentialConfigMap, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read ConfigMap %s/%s: %w", c.namespace, v1alpha1.AgentCredentialConfigMap, err)
	}
	return answer.Data, nil
}
