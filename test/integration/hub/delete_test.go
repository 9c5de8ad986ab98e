package hub_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

func (f *fleet) awaitTombstone(order *v1alpha1.ControlPlane) {
	f.t.Helper()
	f.eventually("wait for the tombstone of "+order.Name, func(ctx context.Context) error {
		if err := f.api.Get(ctx, client.ObjectKeyFromObject(order), order); err != nil {
			return err
		}
		if order.Spec.Tombstone == nil || order.Spec.Tombstone.ID != order.Name {
			return fmt.Errorf("tombstone %v", order.Spec.Tombstone)
		}
		return nil
	})
}

// removed reports, as an agent would, that nothing is left of a guest.
func (f *fleet) removed(order *v1alpha1.ControlPlane) {
	f.t.Helper()
	f.report(order, func(c *v1alpha1.ControlPlane) {
		meta.SetStatusCondition(&c.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionDeleted, Status: metav1.ConditionTrue, Reason: "Removed"})
	})
}

func TestDeleteWaitsForTheAgent(t *testing.T) {
	f := newFleet(t)
	cell := f.cell("c1")
	cluster := f.cluster(f.namespace("team"), "prod")
	order := f.order(cluster)
	f.delete(cluster)
	f.awaitTombstone(order)
	f.awaitCondition(cluster, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonDeleting, cell.Name)

	f.renew(cell, time.Now(), 1)
	f.awaitCondition(cluster, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonCellUnreachable)
	if err := f.api.Get(t.Context(), client.ObjectKeyFromObject(order), order); err != nil || !order.DeletionTimestamp.IsZero() {
		t.Errorf("the order of an unreachable cell must stay: %v, deleted %v", err, order.DeletionTimestamp)
	}

	f.renew(cell, time.Now(), 40)
	f.removed(order)
	f.awaitGone(order)
	f.awaitGone(cluster)
}

func TestCreateAgainUnderTheSameName(t *testing.T) {
	f := newFleet(t)
	f.cell("c1")
	namespace := f.namespace("team")
	first := f.cluster(namespace, "prod")
	old := f.order(first)
	f.delete(first)
	f.awaitTombstone(old)
	f.removed(old)
	f.awaitGone(first)
	next := f.order(f.cluster(namespace, "prod"))
	if next.Name == old.Name {
		t.Errorf("the new guest has the old one's id %s", old.Name)
	}
}

// TestDeleteWhileCreating deletes Clusters at once, once they are bound, and once their order is
// written: each must end with nothing left over.
func TestDeleteWhileCreating(t *testing.T) {
	f := newFleet(t)
	f.cell("c1")
	namespace := f.namespace("team")
	stop := f.agent()
	defer stop()
	clusters := make([]*v1alpha1.Cluster, 0, 21)
	for i := range 21 {
		cluster := f.cluster(namespace, fmt.Sprintf("c%d", i))
		switch i % 3 {
		case 1:
			f.eventually("wait for the bind", func(ctx context.Context) error {
				if err := f.api.Get(ctx, client.ObjectKeyFromObject(cluster), cluster); err != nil {
					return err
				}
				if cluster.Labels[v1alpha1.LabelID] == "" {
					return errors.New("is not bound")
				}
				return nil
			})
		case 2:
			f.order(cluster)
		}
		f.delete(cluster)
		clusters = append(clusters, cluster)
	}
	for _, cluster := range clusters {
		f.awaitGone(cluster)
	}
	f.eventually("wait until every order is taken back", func(context.Context) error {
		if orders := f.orders(); len(orders) > 0 {
			return fmt.Errorf("%d orders are left over, the first %s for %s", len(orders), orders[0].Name, orders[0].Spec.Cluster.Name)
		}
		return nil
	})
}

// TestClusterVanishes: a DELETE that read the Cluster before its bind removes it whenever it gets to
// it, finalizer or not. Taking the Cluster out of the database does the same.
func TestClusterVanishes(t *testing.T) {
	f := newFleet(t)
	f.cell("c1")
	namespace := f.namespace("team")
	cluster := f.cluster(namespace, "prod")
	order := f.order(cluster)
	f.awaitCondition(cluster, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonCreating)
	f.vanish(cluster)
	successor := f.cluster(namespace, "prod")
	f.awaitTombstone(order)
	f.removed(order)
	f.awaitGone(order)
	if next := f.order(successor); next.Name == order.Name {
		t.Errorf("the new Cluster has got the guest %s of the one that vanished", order.Name)
	}
}

// vanish takes a Cluster out of etcd behind the API server's back.
func (f *fleet) vanish(cluster *v1alpha1.Cluster) {
	f.t.Helper()
	key := "/registry/fleet.myriad.dev/clusters/" + cluster.Namespace + "/" + cluster.Name
	body, err := json.Marshal(map[string][]byte{"key": []byte(key)})
	if err != nil {
		f.t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(f.t.Context(), http.MethodPost, server.etcd+"/v3/kv/deleterange", bytes.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		f.t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct{ Deleted string }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.Deleted != "1" {
		f.t.Fatalf("delete %s in etcd: status %d, deleted %q, %v", key, response.StatusCode, answer.Deleted, err)
	}
}

// agent removes what is tombstoned in the region, until stop is called.
func (f *fleet) agent() (stop func()) {
	ctx, cancel := context.WithCancel(f.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(poll)
		defer ticker.Stop()
		for ; ctx.Err() == nil; <-ticker.C {
			var list v1alpha1.ControlPlaneList
			if err := f.api.List(ctx, &list, client.MatchingLabels{v1alpha1.LabelRegion: f.name}); err != nil {
				continue
			}
			for i := range list.Items {
				if order := &list.Items[i]; order.Spec.Tombstone != nil {
					meta.SetStatusCondition(&order.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionDeleted, Status: metav1.ConditionTrue, Reason: "Removed"})
					// Whoever lost a race tries again in the next round.
					_ = f.api.Status().Update(ctx, order)
				}
			}
		}
	}()
	return func() { cancel(); <-ended }
}
