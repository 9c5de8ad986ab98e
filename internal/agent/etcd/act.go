package etcd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	plan "github.com/myriad-fleet/myriad/internal/etcd"
	"github.com/myriad-fleet/myriad/internal/snapshot"
)

const (
	// stepTime bounds a step, longTime one that handles the whole database (8 GiB at most).
	stepTime = 10 * time.Second
	longTime = 15 * time.Minute
)

// act does a step and remembers it.
func (l *look) act(ctx context.Context, step plan.Step) error {
	if step.Kind == plan.Nothing || step.Kind == plan.Wait {
		return nil
	}
	limit := stepTime
	if step.Kind == plan.Snapshot || step.Kind == plan.Defragment || step.Kind == plan.Compact {
		limit = longTime
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := l.do(ctx, step)
	l.known.memory = l.known.memory.Done(step, l.Clock.Now(), err)
	if err != nil {
		return fmt.Errorf("guest %s: etcd: %s of zone %q, because %s: %w", l.id, step.Kind, step.Zone, step.Reason, err)
	}
	l.Log.Info("a step was taken for a guest's etcd", "guest", l.id, "step", step.Kind, "zone", step.Zone, "because", step.Reason)
	return nil
}

func (l *look) do(ctx context.Context, step plan.Step) error {
	there := l.clients[step.Zone]
	var err error
	switch step.Kind {
	case plan.Snapshot:
		return l.take(ctx, step)
	case plan.Discard:
		return l.Runtime.Discard(ctx, l.id, controlplane.InstanceName(controlplane.Etcd, step.Zone))
	case plan.Remove:
		_, err = l.other(step.Zone).MemberRemove(ctx, step.Member)
	case plan.AddLearner:
		_, err = l.other(step.Zone).MemberAddAsLearner(ctx, []string{l.peerURL(step.Zone)})
	case plan.Promote:
		_, err = l.other(step.Zone).MemberPromote(ctx, step.Member)
	case plan.MoveLeader:
		_, err = there.MoveLeader(ctx, step.Member)
	case plan.Defragment:
		_, err = there.Defragment(ctx, there.Endpoints()[0])
	case plan.Compact:
		_, err = l.other("").Compact(ctx, step.Revision, clientv3.WithCompactPhysical())
		if errors.Is(err, rpctypes.ErrCompacted) {
			err = nil // by somebody else, as far or further
		}
	case plan.Disarm:
		err = disarm(ctx, l.other(""), step.Member, step.Alarm)
	default:
		err = fmt.Errorf("there is no such step")
	}
	return err
}

// other is a client of a member that serves and lives elsewhere.
func (l *look) other(than string) *clientv3.Client {
	for _, zone := range l.facts.Zones {
		if zone.Name != than && zone.Status != nil && zone.Status.Leader != 0 {
			return l.clients[zone.Name]
		}
	}
	return l.clients[l.facts.Zones[0].Name] // none serves: it will say so
}

func (l *look) peerURL(name string) string {
	for _, zone := range l.facts.Zones {
		if zone.Name == name {
			return zone.PeerURL
		}
	}
	return ""
}

// take streams a snapshot of a member's database to the store.
func (l *look) take(ctx context.Context, step plan.Step) error {
	if refused := l.refused(l.known); refused != "" { // since it was decided
		return fmt.Errorf("no snapshot may be taken: %s", refused)
	}
	stream, err := l.clients[step.Zone].SnapshotWithVersion(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = stream.Snapshot.Close() }() // only read
	object, err := l.Snapshots.Save(ctx, snapshot.Source{
		ID: l.id, Revision: l.revision(step.Zone), Recipient: l.guest.Order.EscrowRecipient,
	}, stream.Snapshot)
	if object.Name != "" {
		l.known.keep(object)
	}
	return err
}

// revision that a member's database had at this look. etcd streams its snapshots without one.
func (l *look) revision(name string) int64 {
	for _, zone := range l.facts.Zones {
		if zone.Name == name && zone.Status != nil {
			return zone.Status.Revision
		}
	}
	return 0
}

// keep what was stored last.
func (r *record) keep(object snapshot.Object) {
	r.memory.Snapshot = object.Time
	r.snapshot = &v1alpha1.EtcdSnapshot{Name: object.Name, Time: metav1.NewTime(object.Time), Bytes: object.Bytes}
}
