package hub

import (
	"fmt"
	"strings"

	"k8s.io/client-go/tools/cache"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// ControlPlane returns the hub's order for a guest as last seen, nil for none. Only when synced is
// true is a missing order known to be missing.
func (c *Connection) ControlPlane(id string) (order *v1alpha1.ControlPlane, synced bool) {
	synced = c.controlPlanes.HasSynced()
	order, _ = get[*v1alpha1.ControlPlane](c.controlPlanes, c.namespace+"/"+id)
	return order, synced
}

// Credential returns a request for a certificate as last seen, nil for none.
func (c *Connection) Credential(name string) *v1alpha1.ClusterCredential {
	credential, _ := get[*v1alpha1.ClusterCredential](c.credentials, c.namespace+"/"+name)
	return credential
}

// Cell returns the agent's own Cell as last seen, nil for none.
func (c *Connection) Cell() *v1alpha1.Cell {
	cell, _ := get[*v1alpha1.Cell](c.cells, c.cell)
	return cell
}

// OnControlPlane calls spec with the id of each order that came, changed or went, and status with the
// id of each one whose status alone changed.
func (c *Connection) OnControlPlane(spec, status func(id string)) error {
	_, err := c.controlPlanes.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { spec(name(object)) },
		DeleteFunc: func(object any) { spec(name(object)) },
		UpdateFunc: func(before, after any) {
			if generation(before) == generation(after) {
				status(name(after))
				return
			}
			spec(name(after))
		},
	})
	if err != nil {
		return fmt.Errorf("watch the orders of cell %s: %w", c.cell, err)
	}
	return nil
}

// OnCredential calls changed with the name of each request for a certificate that came or changed.
func (c *Connection) OnCredential(changed func(name string)) error {
	return c.on(c.credentials, changed)
}

// OnCell calls changed when the agent's own Cell came or changed.
func (c *Connection) OnCell(changed func(name string)) error { return c.on(c.cells, changed) }

func (c *Connection) on(informer cache.SharedIndexInformer, changed func(name string)) error {
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { changed(name(object)) },
		UpdateFunc: func(_, after any) { changed(name(after)) },
		DeleteFunc: func(object any) { changed(name(object)) },
	})
	if err != nil {
		return fmt.Errorf("watch the hub for cell %s: %w", c.cell, err)
	}
	return nil
}

func get[T any](informer cache.SharedIndexInformer, key string) (T, bool) {
	var none T
	object, found, err := informer.GetStore().GetByKey(key)
	if err != nil || !found {
		return none, false
	}
	typed, ok := object.(T)
	return typed, ok
}

// name of an object, also of one whose removal was missed.
func name(object any) string {
	key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(object)
	if err != nil {
		return ""
	}
	return key[strings.LastIndex(key, "/")+1:]
}

func generation(object any) int64 {
	if order, ok := object.(*v1alpha1.ControlPlane); ok {
		return order.Generation
	}
	return 0
}
