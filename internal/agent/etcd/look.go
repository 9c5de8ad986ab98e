package etcd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	plan "github.com/myriad-fleet/myriad/internal/etcd"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

const (
	// rewriteWords is how often words that change at every death of a process are written anew.
	rewriteWords = 10 * time.Minute
	// rewriteSizes is how often figures are that only drift. A load, which is told every 13 minutes, has the largest of
	// them, too: both together are less than a write in ten minutes for a guest at rest (DESIGN 9).
	rewriteSizes = time.Hour
)

// look is one look at one guest's etcd, with a connection to each member for as long as it lasts.
type look struct {
	*Keeper
	id      string
	known   *record
	guest   Guest
	clients map[string]*clientv3.Client // by zone
	facts   plan.Facts
}

// look looks at a guest and does what is next. What takes long is done apart, for one guest in
// longWorkers at a time. The record is locked until all is done.
func (k *Keeper) look(ctx context.Context, id string, known *record) {
	l, err := k.open(ctx, id, known)
	if err != nil {
		k.complain(known, id, err)
		known.mu.Unlock()
		k.queue.AddRateLimited(id)
		return
	}
	k.queue.Forget(id)
	step := plan.Next(l.facts)
	l.tell(step)
	if step.Kind != plan.Snapshot && step.Kind != plan.Defragment && step.Kind != plan.Compact {
		l.finish(ctx, step)
		return
	}
	k.running.Go(func() {
		select {
		case k.long <- struct{}{}:
			defer func() { <-k.long }()
		case <-ctx.Done():
		}
		l.finish(ctx, step)
	})
}

// open connects to a guest's members and finds out all about them.
func (k *Keeper) open(ctx context.Context, id string, known *record) (*look, error) {
	k.mu.Lock()
	l := &look{Keeper: k, id: id, known: known, guest: known.guest, clients: map[string]*clientv3.Client{}}
	k.mu.Unlock()
	if known.gone {
		return nil, fmt.Errorf("guest %s: is being removed", id)
	}
	now := k.Clock.Now()
	if known.credentials == nil || now.After(known.credentials.until) {
		made, err := newCredentials(l.guest.Identity, now)
		if err != nil {
			return nil, fmt.Errorf("guest %s: %w", id, err)
		}
		known.credentials = made
	}
	observation, err := k.Runtime.Observe(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("guest %s: ask the cell's runtime how etcd is: %w", id, err)
	}
	l.guest.Observation = observation
	l.lastSnapshot(ctx)
	if err := l.gather(ctx); err != nil {
		l.close()
		return nil, fmt.Errorf("guest %s: %w", id, err)
	}
	known.memory = l.facts.Memory
	return l, nil
}

func (l *look) close() {
	for _, client := range l.clients {
		_ = client.Close() // says that its context was cancelled
	}
}

// gather asks all members at once.
func (l *look) gather(ctx context.Context) error {
	l.facts = plan.Facts{
		Now: l.Clock.Now(), Store: l.Snapshots != nil, SnapshotsRefused: l.guest.Order.SnapshotsRefused,
		Memory: l.known.memory, Irreplaceable: irreplaceable(l.guest.Order),
	}
	instances := members(l.guest.Order)
	l.facts.Zones = make([]plan.Zone, len(instances))
	alarmed := make([]bool, len(instances))
	var all sync.WaitGroup
	for i, instance := range instances {
		host := l.guest.Hosts[instance.Name]
		component, _ := l.guest.Observation.Component(instance.Name)
		zone := &l.facts.Zones[i]
		*zone = plan.Zone{
			Name: instance.Zone, Component: component, Start: l.guest.Starts[instance.Name],
			PeerURL: "https://" + net.JoinHostPort(host, strconv.Itoa(controlplane.EtcdPeerPort)),
		}
		client, err := dial(ctx, host, l.known.credentials.config)
		if err != nil {
			return err
		}
		l.clients[instance.Zone] = client
		if !mayAnswer(component.State) {
			continue
		}
		all.Go(func() {
			if answer, alarm, err := status(ctx, client); err == nil {
				zone.Status, alarmed[i] = answer, alarm
			}
		})
	}
	all.Wait()
	for i, zone := range l.facts.Zones {
		if zone.Status != nil && !l.facts.Listed {
			l.list(ctx, l.clients[zone.Name], alarmed[i])
		}
	}
	l.facts.Memory = l.facts.Seen()
	return nil
}

// mayAnswer tells whether it is worth asking a member: one without a process would only be waited for.
func mayAnswer(state runtime.State) bool {
	return state == runtime.Running || state == runtime.Starting || state == runtime.Held
}

// list asks one member, with a quorum, who is in the group.
func (l *look) list(ctx context.Context, client *clientv3.Client, alarmed bool) {
	listed, err := list(ctx, client)
	if err != nil {
		return
	}
	if alarmed {
		raised, err := alarms(ctx, client)
		if err != nil {
			return
		}
		l.facts.Alarms = raised
	}
	l.facts.Members, l.facts.Listed = listed, true
}

// irreplaceable says why a guest's members cannot be replaced.
func irreplaceable(order *v1alpha1.ControlPlaneSpec) string {
	switch {
	case order.RenderRevision < firstSealed:
		return fmt.Sprintf("the guest is rendered by revision %d, and members can be replaced from revision %d on", order.RenderRevision, firstSealed)
	case order.SupersededBy > order.Epoch:
		return "this copy of the guest is frozen"
	}
	return ""
}

// finish does a step, and has the guest looked at again.
func (l *look) finish(ctx context.Context, step plan.Step) {
	err := l.act(ctx, step)
	l.close()
	after := interval
	switch {
	case err != nil && step.Kind == plan.Promote:
		after = firstWait // it has not caught up with the others
	case err != nil:
		l.complain(l.known, l.id, err)
		l.known.wait = min(max(2*l.known.wait, firstWait), interval)
		after = l.known.wait
	case len(l.facts.Memory.LostSince) > 0 && step.Kind == plan.Wait:
		after = firstWait
	case step.Kind == plan.Wait, step.Kind == plan.Nothing && len(l.facts.Memory.AwaySince) > 0:
		l.known.wait = min(max(2*l.known.wait, firstWait), interval)
		after = l.known.wait
	case step.Kind == plan.Nothing:
		l.known.wait, l.known.said = 0, ""
	default:
		l.known.wait, after = 0, nextLook
	}
	l.known.mu.Unlock()
	l.again(l.id, after)
}

// tell keeps what there is to say, and says that it has changed.
func (l *look) tell(step plan.Step) {
	starts := map[string]controlplane.EtcdStart{}
	if l.guest.Order.RenderRevision >= firstSealed {
		for zone, start := range plan.Starts(l.facts) {
			starts[controlplane.InstanceName(controlplane.Etcd, zone)] = start
		}
	}
	l.mu.Lock()
	last := l.known.report
	report := Report{Status: l.status(last.Status), Condition: l.condition(last.Condition, step)}
	changed := !equality.Semantic.DeepEqual(last, report) || !equality.Semantic.DeepEqual(starts, l.known.starts)
	l.known.report, l.known.starts = report, starts
	if changed {
		l.known.written = l.facts.Now
	}
	l.mu.Unlock()
	if changed {
		l.Changed(l.id)
	}
}

// due tells whether what was written last is that old.
func (l *look) due(age time.Duration) bool { return l.facts.Now.Sub(l.known.written) >= age }

// status is what to report of the members. Sizes alone are no reason to write.
func (l *look) status(last *v1alpha1.EtcdStatus) *v1alpha1.EtcdStatus {
	status := &v1alpha1.EtcdStatus{Members: plan.Roles(l.facts), LastSnapshot: l.known.snapshot}
	if last == nil || l.due(rewriteSizes) {
		return status
	}
	rough := func(s *v1alpha1.EtcdStatus) *v1alpha1.EtcdStatus {
		s = s.DeepCopy()
		for i := range s.Members {
			s.Members[i].DatabaseBytes, s.Members[i].DatabaseInUseBytes = 0, 0
		}
		return s
	}
	if equality.Semantic.DeepEqual(rough(last), rough(status)) {
		return last
	}
	return status
}

// condition is what to report. Words alone are no reason to write while nothing is done.
func (l *look) condition(last *metav1.Condition, step plan.Step) *metav1.Condition {
	health, tell := plan.Health(l.facts, step)
	same := last != nil && last.Status == health.Status && last.Reason == health.Reason
	if !tell || (same && step.Kind == plan.Wait && !l.due(rewriteWords)) {
		return last
	}
	return &health
}

// lastSnapshot asks the store once what it has of the guest; where snapshots are refused, each time: what
// was stored before is there against the rule, until somebody removes it.
func (l *look) lastSnapshot(ctx context.Context) {
	if l.Snapshots == nil || (l.known.asked && l.guest.Order.SnapshotsRefused == "") {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	object, ok, err := l.Snapshots.Latest(ctx, l.id)
	if err != nil {
		return // asked again at the next look
	}
	l.known.asked = true
	if l.known.snapshot = nil; ok {
		l.known.keep(object)
	}
}

// complain logs an error, once as long as it stays the same.
func (k *Keeper) complain(known *record, id string, err error) {
	if errors.Is(err, context.Canceled) || known.said == err.Error() {
		return
	}
	known.said = err.Error()
	k.Log.Error("a guest's etcd is not as it should be; it is looked at again", "guest", id, "error", err)
}
