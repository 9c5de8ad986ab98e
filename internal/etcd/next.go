package etcd

import (
	"fmt"
	"slices"
	"strings"

	"github.com/myriad-fleet/myriad/internal/controlplane"
)

// rules in the order in which they are asked: the first that has something to say decides.
var rules = []func(*view) (Step, bool){
	(*view).unlisted, (*view).strangers, (*view).oldAlarm, (*view).learner, (*view).unplaced, (*view).replace,
	(*view).makeRoom, (*view).away, (*view).defragment,
}

// Next decides what is to be done next. The memory must be that of Seen.
func Next(f Facts) Step {
	v := newView(f)
	for _, rule := range rules {
		if step, ok := rule(v); ok {
			return step
		}
	}
	return Step{}
}

// Starts says what each zone's member does that finds no data of its own: refuse, for it had some;
// join, where a place was made and never taken.
func Starts(f Facts) map[string]controlplane.EtcdStart {
	v := newView(f)
	starts := map[string]controlplane.EtcdStart{}
	for _, zone := range f.Zones {
		starts[zone.Name] = controlplane.EtcdSealed
		if m := v.members[zone.Name]; f.Listed && m != nil && m.Learner && m.Name == "" {
			starts[zone.Name] = controlplane.EtcdJoin
		}
	}
	return starts
}

// view is Facts with what follows from them at once.
type view struct {
	Facts
	members map[string]*Member // by zone; nil for none
	strange []Member           // of no zone
}

func newView(f Facts) *view {
	v := &view{Facts: f, members: map[string]*Member{}}
	for i, member := range f.Members {
		at := slices.IndexFunc(f.Zones, func(z Zone) bool { return slices.Contains(member.PeerURLs, z.PeerURL) })
		if at < 0 {
			v.strange = append(v.strange, member)
			continue
		}
		v.members[f.Zones[at].Name] = &f.Members[i]
	}
	return v
}

// answers tells whether the zone's member serves: it is the one that the list means, and follows a leader.
func (v *view) answers(zone Zone) bool {
	m := v.members[zone.Name]
	return m != nil && zone.Status != nil && zone.Status.ID == m.ID && zone.Status.Leader != 0
}

// lost tells whether the zone's data is proven lost, for long enough to believe it.
func (v *view) lost(zone Zone) bool {
	at, ok := v.Memory.LostSince[zone.Name]
	return ok && !v.answers(zone) && v.Now.Sub(at) >= lostGrace
}

// alarmed returns the zones for whose members an alarm is raised.
func (v *view) alarmed(kind AlarmKind) []Zone {
	var zones []Zone
	for _, zone := range v.Zones {
		m := v.members[zone.Name]
		if m != nil && slices.Contains(v.Alarms, Alarm{Member: m.ID, Kind: kind}) {
			zones = append(zones, zone)
		}
	}
	return zones
}

// absent names the zones other than except whose members do not serve.
func (v *view) absent(except ...string) []string {
	var names []string
	for _, zone := range v.Zones {
		if !slices.Contains(except, zone.Name) && !v.answers(zone) {
			names = append(names, zone.Name)
		}
	}
	return names
}

// follower is a member that serves and does not lead, in none of the zones named.
func (v *view) follower(except ...string) (Zone, bool) {
	for _, zone := range v.Zones {
		m := v.members[zone.Name]
		if v.answers(zone) && !m.Learner && zone.Status.Leader != m.ID && !slices.Contains(except, zone.Name) {
			return zone, true
		}
	}
	return Zone{}, false
}

// leads tells whether the zone's member is the leader.
func (v *view) leads(zone Zone) bool { return v.answers(zone) && zone.Status.Leader == zone.Status.ID }

func (v *view) unlisted() (Step, bool) {
	return wait("no quorum answers"), !v.Listed
}

// strangers: a member of no zone was added by a person, who should end what they began.
func (v *view) strangers() (Step, bool) {
	if len(v.strange) == 0 {
		return Step{}, false
	}
	return wait("member %x at %s is of no zone of the guest: remove it with 'etcdctl member remove', and all goes on",
		v.strange[0].ID, strings.Join(v.strange[0].PeerURLs, ",")), true
}

// oldAlarm: etcd keeps alarms of members that were removed.
func (v *view) oldAlarm() (Step, bool) {
	for _, alarm := range v.Alarms {
		listed := slices.ContainsFunc(v.Members, func(m Member) bool { return m.ID == alarm.Member })
		if alarm.Member != 0 && !listed {
			return Step{Kind: Disarm, Member: alarm.Member, Alarm: alarm.Kind, Reason: "the member was removed"}, true
		}
	}
	return Step{}, false
}

// away: a member that does not answer is waited for, however long that takes.
func (v *view) away() (Step, bool) {
	names := v.absent()
	if len(names) == 0 {
		return Step{}, false
	}
	return wait("the member of zone %s is away and not known to have lost its data", strings.Join(names, ", ")), true
}

func wait(format string, args ...any) Step {
	return Step{Kind: Wait, Reason: fmt.Sprintf(format, args...)}
}
