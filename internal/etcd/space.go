package etcd

import (
	"fmt"
	"time"
)

const (
	// A database is defragmented when that gives back half of at least this many bytes. Defragmenting
	// stalls the member for about a second per 100 MiB, and with it its zone's API server.
	defragmentBytes = 100 << 20
	// defragmentPause is between two tries on one member: one that gave nothing back is not repeated.
	defragmentPause = time.Hour
	// loneDefragment is the part of its quota in per cent above which a lone member is defragmented:
	// the whole guest stalls with it.
	loneDefragment = 75

	// A full database is taken back into use below roomNeeded per cent of its quota, after a
	// defragmentation where no more than roomInUse per cent are in use.
	roomNeeded, roomInUse = 90, 85
	// roomPause is between two tries to defragment one member of a full database.
	roomPause = 10 * time.Minute
	// disarmPause is between two times that a NOSPACE alarm is taken back: whoever fills the database
	// at once is not helped by that.
	disarmPause = 15 * time.Minute
	// historyKept when a full database is compacted, as by kube-apiserver, whose own compaction writes
	// a key and is refused meanwhile.
	historyKept = 5 * time.Minute
	// historyMarks are remembered over that time.
	historyMarks = 5
)

// makeRoom in a database that has reached its quota. Writes are refused already: what stalls now
// disturbs less than what stays full.
func (v *view) makeRoom() (Step, bool) {
	if len(v.alarmed(NoSpace)) == 0 {
		return Step{}, false
	}
	full, reclaimable := v.full()
	switch {
	case full == nil:
		return v.disarm(), true
	case reclaimable != nil:
		if step, ok := v.snapshotBefore("a full database is defragmented"); ok {
			return step, true
		}
		return Step{Kind: Defragment, Zone: reclaimable.Name, Reason: fmt.Sprintf(
			"the database is full, and at least %s of it are not in use", mebibytes(reclaimable.Status.Bytes-reclaimable.Status.InUse))}, true
	}
	if revision, ok := v.oldRevision(); ok && v.Now.Sub(v.Memory.Compacted) >= historyKept {
		return Step{Kind: Compact, Revision: revision, Reason: "the database is full, and its history takes room"}, true
	}
	return wait("the database is full: %s of %s are in use: delete objects that are not needed",
		mebibytes(full.Status.InUse), mebibytes(full.Status.Quota)), true
}

// full is a member above its room, and reclaimable one that defragmentation helps, the leader last.
func (v *view) full() (full, reclaimable *Zone) {
	for i, zone := range v.Zones {
		if !v.answers(zone) || zone.Status.Bytes*100 < zone.Status.Quota*roomNeeded {
			continue
		}
		full = &v.Zones[i]
		if v.helps(zone) && (reclaimable == nil || v.leads(*reclaimable)) {
			reclaimable = &v.Zones[i]
		}
	}
	return full, reclaimable
}

// helps tells whether a full member gets room by defragmentation. What a compaction frees counts as in
// use until the member commits another write, and none is let in: so each is tried once after one.
func (v *view) helps(zone Zone) bool {
	last := v.Memory.Defragmented[zone.Name]
	reclaimable := zone.Status.InUse*100 <= zone.Status.Quota*roomInUse && v.Now.Sub(last) >= roomPause
	return reclaimable || v.Memory.Compacted.After(last)
}

func (v *view) disarm() Step {
	if again := v.Memory.Disarmed.Add(disarmPause); v.Now.Before(again) {
		return wait("the database filled up again at once: find out what fills it; it is opened to writes again at %s",
			again.UTC().Format(time.TimeOnly+" MST"))
	}
	return Step{Kind: Disarm, Alarm: NoSpace, Reason: "there is room again"}
}

// oldRevision is one that the database had historyKept ago, and that was not compacted to before.
func (v *view) oldRevision() (int64, bool) {
	if marks := v.Memory.Revisions; len(marks) > 0 && v.Now.Sub(marks[0].At) >= historyKept && marks[0].Revision > v.Memory.CompactedTo {
		return marks[0].Revision, true
	}
	return 0, false
}

// defragment one member while all serve, where it pays, the leader last.
func (v *view) defragment() (Step, bool) {
	var pays []Zone
	for _, zone := range v.Zones {
		if !v.pays(zone) {
			continue
		}
		if !v.leads(zone) || len(v.Zones) == 1 {
			return defragmentation(zone), true
		}
		pays = append(pays, zone)
	}
	if len(pays) == 0 || len(v.Alarms) > 0 {
		return Step{}, false
	}
	return v.moveLeader(pays[0], "the leader is defragmented next"), true
}

func (v *view) pays(zone Zone) bool {
	s := zone.Status
	pays := s.Bytes >= defragmentBytes && (s.Bytes-s.InUse)*2 >= s.Bytes
	if len(v.Zones) == 1 {
		pays = pays && s.Bytes*100 >= s.Quota*loneDefragment
	}
	return pays && len(v.Alarms) == 0 && v.Now.Sub(v.Memory.Defragmented[zone.Name]) >= defragmentPause
}

func defragmentation(zone Zone) Step {
	return Step{Kind: Defragment, Zone: zone.Name, Reason: fmt.Sprintf("%s of %s are not in use",
		mebibytes(zone.Status.Bytes-zone.Status.InUse), mebibytes(zone.Status.Bytes))}
}

func mebibytes(bytes int64) string { return fmt.Sprintf("%d MiB", bytes>>20) }
