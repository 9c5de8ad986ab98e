package etcd

import (
	"fmt"
	"strings"

	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// learner goes on with a replacement: a member without a vote has been listed.
func (v *view) learner() (Step, bool) {
	for _, zone := range v.Zones {
		m := v.members[zone.Name]
		switch {
		case m == nil || !m.Learner:
			continue
		case m.Name == "":
			return v.firstStart(zone), true
		case v.lost(zone) && !v.discarded(zone):
			return Step{Kind: Remove, Zone: zone.Name, Member: m.ID, Reason: "the new member lost its data: " + zone.Component.LastExit}, true
		case v.answers(zone):
			return Step{Kind: Promote, Zone: zone.Name, Member: m.ID, Reason: "the new member serves"}, true
		}
		return wait("the new member of zone %s is away", zone.Name), true
	}
	return Step{}, false
}

// firstStart: the place in the group is there, and what lies in the zone is of a member that was
// removed, or nothing. A member that has never started holds nothing of worth.
func (v *view) firstStart(zone Zone) Step {
	// A member that was removed while it was away may run on and not know.
	removed := zone.Status != nil && zone.Status.ID != v.members[zone.Name].ID
	if !removed && (zone.Component.State != runtime.BackOff || zone.Status != nil) {
		return wait("the new member of zone %s is starting", zone.Name)
	}
	if zone.Start != controlplane.EtcdJoin {
		return wait("the new member of zone %s is being told to join", zone.Name)
	}
	if v.discarded(zone) {
		return wait("the new member of zone %s was started, and died: %s", zone.Name, zone.Component.LastExit)
	}
	return Step{Kind: Discard, Zone: zone.Name, Reason: "a new member starts without data"}
}

// discarded tells whether a zone's data was thrown away a moment ago: what the runtime says of it may be
// the last words of the one before.
func (v *view) discarded(zone Zone) bool {
	return v.Now.Sub(v.Memory.Discarded[zone.Name]) < discardPause
}

// unplaced: a zone whose member was removed gets another, one zone after the other.
func (v *view) unplaced() (Step, bool) {
	for _, zone := range v.Zones {
		if v.members[zone.Name] != nil {
			continue
		}
		if v.Irreplaceable != "" {
			return wait("zone %s has no member, and none can be added: %s", zone.Name, v.Irreplaceable), true
		}
		return Step{Kind: AddLearner, Zone: zone.Name, Reason: "the zone has no member"}, true
	}
	return Step{}, false
}

// replace begins with a voter whose data is proven lost, or differs from the others'.
func (v *view) replace() (Step, bool) {
	zone, why, ok := v.failed()
	if !ok {
		return Step{}, false
	}
	if v.Irreplaceable != "" {
		return wait("%s, and it cannot be replaced: %s", why, v.Irreplaceable), true
	}
	if others := v.absent(zone.Name); len(others) > 0 {
		return wait("%s; it is replaced when zone %s is back", why, strings.Join(others, ", ")), true
	}
	if len(v.Zones) == 1 {
		return wait("%s, and there is no other member to copy from", why), true
	}
	if step, ok := v.snapshotBefore("a member is replaced", zone.Name); ok {
		return step, true
	}
	if v.leads(zone) {
		return v.moveLeader(zone, why), true
	}
	return Step{Kind: Remove, Zone: zone.Name, Member: v.members[zone.Name].ID, Reason: why}, true
}

// failed is the voter to replace. When more than one has failed it is the first, and the others keep
// it from being replaced.
func (v *view) failed() (Zone, string, bool) {
	for _, zone := range v.Zones {
		if v.lost(zone) {
			return zone, fmt.Sprintf("zone %s lost its data (%s)", zone.Name, zone.Component.LastExit), true
		}
	}
	if differ := v.alarmed(Corrupt); len(differ) == 1 {
		return differ[0], fmt.Sprintf("the data of zone %s differs from the others'", differ[0].Name), true
	}
	return Zone{}, "", false
}

// snapshotBefore asks for a snapshot before a step that could go wrong, or has it wait for one. There
// is none to wait for where no store is configured, or where the guest's may not lie there: a guest that
// is short of a member or of room is in more danger than one that is repaired without a snapshot.
func (v *view) snapshotBefore(what string, except ...string) (Step, bool) {
	if !v.Store || v.SnapshotsRefused != "" || v.Now.Sub(v.Memory.Snapshot) < snapshotFresh {
		return Step{}, false
	}
	if v.Memory.SnapshotError != "" && v.Now.Sub(v.Memory.SnapshotFailed) < snapshotPause {
		return wait("before %s a snapshot must be stored, and that failed: %s", what, v.Memory.SnapshotError), true
	}
	from, ok := v.follower(except...)
	for _, zone := range v.Zones {
		if !ok && v.leads(zone) {
			from, ok = zone, true // alone, or the only one left
		}
	}
	if !ok {
		return wait("before %s a snapshot must be stored, and no member can be asked for one", what), true
	}
	return Step{Kind: Snapshot, Zone: from.Name, Reason: "before " + what}, true
}

func (v *view) moveLeader(from Zone, why string) Step {
	to, ok := v.follower(from.Name)
	if !ok {
		return wait("%s; it leads, and no other member can", why)
	}
	return Step{Kind: MoveLeader, Zone: from.Name, Member: v.members[to.Name].ID, Reason: why}
}
